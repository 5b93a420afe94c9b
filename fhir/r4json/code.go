package r4json

import (
	"reflect"
	"strings"
	"sync"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// codeSet are the codes of an enumerated type with their numbers, each in its own spelling. jsonformat takes "FINAL" and "entered_in_error" too; those
// are left to it.
type codeSet struct {
	goType reflect.Type
	once   sync.Once
	number table[int32] // by spelling
	field  int          // of the value in the struct
}

// find returns the number of a code, 0 if there is no such code.
func (c *codeSet) find(code []byte) int32 {
	c.once.Do(c.build)
	return c.number.find(code)
}

func (c *codeSet) build() {
	numbers := map[string]int32{}
	value := descriptorOf(c.goType).Fields().ByName("value")
	c.field = fieldsByNumber(c.goType)[value.Number()]
	values := value.Enum().Values()
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() == 0 { // not a code, but what an absent one is
			continue
		}
		code, _ := proto.GetExtension(v.Options(), apb.E_FhirOriginalCode).(string)
		if code == "" {
			code = strings.ReplaceAll(strings.ToLower(string(v.Name())), "_", "-")
		}
		// By name first, as jsonformat does: the original code of one value could be the name of another.
		if named := values.ByName(protoreflect.Name(strings.ReplaceAll(strings.ToUpper(code), "-", "_"))); named != nil {
			v = named
		}
		if _, ok := numbers[code]; !ok && v.Number() != 0 {
			numbers[code] = int32(v.Number())
		}
	}
	c.number = newTable(numbers)
}
