package rules_test

import (
	"reflect"
	"testing"

	"github.com/trialwatch/trialwatch/rules"
)

// A contribution that differs in a field that Equal forgets would never reach the aggregates.
func TestSummaryEqualSeesEveryField(t *testing.T) {
	var zero rules.Summary
	fields := reflect.TypeFor[rules.Summary]()
	for i := range fields.NumField() {
		var s rules.Summary
		switch f := reflect.ValueOf(&s).Elem().Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		default:
			t.Fatalf("%s: the test cannot change a %s", fields.Field(i).Name, f.Kind())
		}
		if s.Equal(&zero) || !s.Equal(&s) {
			t.Errorf("Equal does not see %s", fields.Field(i).Name)
		}
	}
}
