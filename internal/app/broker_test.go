package app

import (
	"bytes"
	"sync"
	"testing"
)

// TestOneSiteKey: with two keys one patient would be two.
func TestOneSiteKey(t *testing.T) {
	dir := t.TempDir()
	keys := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := siteKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) {
			t.Fatal("processes that start at once have different site keys")
		}
	}
}
