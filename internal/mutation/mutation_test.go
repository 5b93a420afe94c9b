package mutation

import (
	"fmt"
	"testing"
)
func TestX(t *testing.T){ _ = fmt.Sprint }
