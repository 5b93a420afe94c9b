package fhir

import (
	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
)

// WithoutFastPath lets google/fhir parse everything.
func (d *Decoder) WithoutFastPath() error {
	google, err := jsonformat.NewUnmarshaller(d.cfg.Zone.String(), fhirversion.R4)
	if err != nil {
		return err
	}
	d.unmarshal = google.UnmarshalR4
	return nil
}
