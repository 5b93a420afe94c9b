package ctcae

// Febrile neutropenia has the same criterion in all three versions: a neutrophil count below 1.0 with one temperature above 38.3 Cel or a
// sustained one of at least 38.0 Cel for more than an hour is grade 3; grade 4 is a clinician's.
const (
	FebrileNeutropeniaTerm  = "Febrile neutropenia"
	FebrileNeutropeniaSlug  = "febrile-neutropenia"
	FebrileNeutropeniaGrade = 3
)
