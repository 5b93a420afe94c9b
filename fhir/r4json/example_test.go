package r4json_test

import (
	"fmt"

	"github.com/trialwatch/trialwatch/fhir/r4json"
)

func ExampleDecoder() {
	d, err := r4json.New("America/Chicago")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := d.UnmarshalR4([]byte(`{"resourceType":"Observation","status":"final","code":{"text":"Temperature"},
		"effectiveDateTime":"2026-02-20","valueQuantity":{"value":38.50,"unit":"Cel"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	o := r.GetObservation()
	fmt.Println(o.GetValue().GetQuantity().GetValue().GetValue(), o.GetEffective().GetDateTime().GetTimezone())

	// Without a code it is no Observation: jsonformat is asked, and says so.
	_, err = d.UnmarshalR4([]byte(`{"resourceType":"Observation","status":"final"}`))
	fmt.Println(err)
	fmt.Println(d.Counts())
	// Output:
	// 38.50 America/Chicago
	// error at "Observation": missing required field "code"
	// map[none:1 required:1]
}
