package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// IL-2 lowers albumin, and with it the total calcium: the correction keeps a hypocalcemia that is none from being told.
func TestCalciumIsCorrectedForAlbumin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(*chart)
		want  []string
	}{
		{"by an albumin of the same draw", func(c *chart) {
			c.lab(timeline.CalciumMass, "7.4", "d3 06:00", "8.6..10.2")
			c.lab(timeline.Albumin, "20", "d3 06:00", "") // + 1.6: 9.0
		}, nil},
		{"and is low if it is", func(c *chart) {
			c.lab(timeline.CalciumMass, "6.2", "d3 06:00", "8.6..10.2")
			c.lab(timeline.Albumin, "20", "d3 07:00", "") // 7.8
		}, []string{"hypocalcemia open g2 02-19T06:00"}},
		{"in moles", func(c *chart) {
			c.lab(timeline.CalciumMolar, "1.70", "d3 06:00", "2.15..2.55")
			c.lab(timeline.Albumin, "30", "d3 07:00", "") // 1.90
		}, []string{"hypocalcemia open g2 02-19T06:00"}},
		{"a normal albumin corrects nothing", func(c *chart) {
			c.lab(timeline.CalciumMass, "8.7", "d3 06:00", "8.6..10.2")
			c.lab(timeline.Albumin, "48", "d3 06:00", "")
		}, nil},
		{"without an albumin it is graded as it is, for review", func(c *chart) {
			c.lab(timeline.CalciumMass, "7.4", "d3 06:00", "8.6..10.2")
			c.lab(timeline.Albumin, "20", "d4 06:01", "")
		}, []string{"hypocalcemia open g2 02-19T06:00 review"}},
		{"what the laboratory corrected goes first", func(c *chart) {
			c.lab(timeline.CalciumMass, "7.4", "d3 06:00", "8.6..10.2")
			c.lab(timeline.CalciumCorrectedMass, "9.1", "d3 06:00", "8.6..10.2")
		}, nil},
		{"and may be too high", func(c *chart) {
			c.lab(timeline.CalciumMass, "10.5", "d3 06:00", "8.6..10.2")
			c.lab(timeline.Albumin, "20", "d3 06:00", "") // 12.1
		}, []string{"hypercalcemia open g2 02-19T06:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			tt.build(c)
			var got []string
			for _, line := range detail(c.evaluate(trial(t), at("d5 00:00")).Findings, "tox.") {
				if strings.Contains(line, "calcemia") {
					got = append(got, line)
				}
			}
			want(t, got, tt.want...)
		})
	}
}

// Terms that more than one result, or a treatment, says something of.
func TestTermsOfSeveralReadings(t *testing.T) {
	hypertension := "hypertension, episodeGap: PT24H"
	hypotension := `hypotension, episodeGap: PT24H, threshold: { value: "90", unit: "mm[Hg]" }`
	crs := `cytokine-release-syndrome, episodeGap: PT24H, threshold: { value: "90", unit: "mm[Hg]" }`
	bp := func(c *chart, s, d, when string) {
		f := c.lab(timeline.Systolic, s, when, "")
		g := c.obs("x", timeline.Diastolic, d, when)
		f.Results = append(f.Results, g.Results...)
		c.facts = c.facts[:len(c.facts)-1]
	}
	for _, tt := range []struct {
		name, term, ctcae string
		build             func(*chart)
		want              []string
	}{
		{"a pressure of 120 is grade 1", hypertension, "5.0", func(c *chart) { bp(c, "120", "70", "d1 06:00") }, []string{"hypertension resolved g1 02-17T06:00 → 02-18T06:00"}},
		{"the worse of two pressures counts", hypertension, "5.0", func(c *chart) { bp(c, "119", "100", "d1 06:00") }, []string{"hypertension resolved g3 02-17T06:00 → 02-18T06:00"}},
		{"119 over 79 is normal", hypertension, "5.0", func(c *chart) { bp(c, "119", "79", "d1 06:00") }, nil},
		{"140 once may be grade 2", hypertension, "5.0", func(c *chart) { bp(c, "140", "70", "d1 06:00") }, []string{"hypertension resolved g1-2 02-17T06:00 → 02-18T06:00 review"}},
		{"140 for 24 h is", hypertension, "5.0", func(c *chart) {
			for _, when := range []string{"d1 06:00", "d1 14:00", "d1 22:00", "d2 06:00"} {
				bp(c, "145", "70", when)
			}
		}, []string{"hypertension resolved g2 02-17T06:00 → 02-19T06:00 review"}},
		{"for less it is not sure", hypertension, "5.0", func(c *chart) {
			for _, when := range []string{"d1 06:00", "d1 14:00", "d1 22:00", "d2 05:59"} {
				bp(c, "145", "70", when)
			}
		}, []string{"hypertension resolved g1-2 02-17T06:00 → 02-19T05:59 review"}},
		{"a normal pressure between makes it grade 1", hypertension, "5.0", func(c *chart) { bp(c, "145", "70", "d1 06:00"); bp(c, "118", "70", "d1 08:00") }, []string{"hypertension resolved g1 02-17T06:00 → 02-18T06:00"}},
		{"6.0 knows no grade 1", hypertension, "6.0", func(c *chart) { bp(c, "139", "89", "d1 06:00") }, nil},
		{"6.0: 185 once is proposed up to grade 4", hypertension, "6.0", func(c *chart) { bp(c, "185", "70", "d1 06:00") }, []string{"hypertension resolved ?4 02-17T06:00 → 02-18T06:00 review"}},
		{"6.0: exactly an hour does not persist over one", hypertension, "6.0", func(c *chart) {
			bp(c, "185", "70", "d1 06:00")
			bp(c, "185", "70", "d1 07:00")
			bp(c, "118", "70", "d1 07:01")
		}, []string{"hypertension resolved ?4 02-17T06:00 → 02-18T07:00 review"}},
		{"6.0: 185 for over an hour is grade 4", hypertension, "6.0", func(c *chart) { bp(c, "185", "70", "d1 06:00"); bp(c, "185", "70", "d1 07:01") }, []string{"hypertension resolved g4 02-17T06:00 → 02-18T07:01 review"}},
		{"6.0: 20 above baseline is not more than 20", hypertension, "6.0", func(c *chart) {
			bp(c, "121", "80", "d-8 06:00")
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			bp(c, "141", "80", "d1 06:00")
		}, []string{"hypertension resolved ?2 02-17T06:00 → 02-18T06:00 base 0 review"}},
		{"6.0: a rise of the mean by more than 15 is grade 3", hypertension, "6.0", func(c *chart) {
			bp(c, "125", "60", "d-8 06:00") // mean 81.7
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			bp(c, "141", "79", "d1 06:00") // mean 99.7
		}, []string{"hypertension resolved g3 02-17T06:00 → 02-18T06:00 base 0 emergent"}},

		{"a low pressure alone is proposed as grade 1", hypotension, "5.0", func(c *chart) { bp(c, "89", "50", "d1 06:00") }, []string{"hypotension resolved ?1 02-17T06:00 → 02-18T06:00 review"}},
		{"90 is not below 90", hypotension, "5.0", func(c *chart) { bp(c, "90", "50", "d1 06:00") }, nil},
		{"with fluid after it as grade 2", hypotension, "5.0", func(c *chart) { bp(c, "85", "50", "d1 06:00"); c.drug(timeline.Crystalloid, "d1 06:30") }, []string{"hypotension resolved ?2 02-17T06:00 → 02-18T06:00 review"}},
		{"fluid before it is not its treatment", hypotension, "5.0", func(c *chart) { bp(c, "85", "50", "d1 06:00"); c.drug(timeline.Crystalloid, "d1 05:59") }, []string{"hypotension resolved ?1 02-17T06:00 → 02-18T06:00 review"}},
		{"with a vasopressor as grade 3", hypotension, "5.0", func(c *chart) { bp(c, "85", "50", "d1 06:00"); c.drug(timeline.Vasopressor, "d1 12:00") }, []string{"hypotension resolved ?3 02-17T06:00 → 02-18T06:00 review"}},
		{"not with one 6 h and a minute later", hypotension, "5.0", func(c *chart) { bp(c, "85", "50", "d1 06:00"); c.drug(timeline.Vasopressor, "d1 12:01") }, []string{"hypotension resolved ?1 02-17T06:00 → 02-18T06:00 review"}},
		{"nor with a nasal spray", hypotension, "5.0", func(c *chart) {
			bp(c, "85", "50", "d1 06:00")
			c.drug(timeline.Vasopressor, "d1 07:00").Dose.Route = "NASAL"
		}, []string{"hypotension resolved ?1 02-17T06:00 → 02-18T06:00 review"}},

		{"tachycardia is proposed", `sinus-tachycardia, episodeGap: PT24H, threshold: { value: "100", unit: /min }`, "5.0", func(c *chart) { c.lab(timeline.HeartRate, "101", "d1 06:00", "") }, []string{"sinus-tachycardia resolved ?1 02-17T06:00 → 02-18T06:00 review"}},
		{"100 is not above 100", `sinus-tachycardia, episodeGap: PT24H, threshold: { value: "100", unit: /min }`, "5.0", func(c *chart) { c.lab(timeline.HeartRate, "100", "d1 06:00", "") }, nil},
		{"saturation below 88 is grade 2 or 3", "hypoxia, episodeGap: PT24H", "5.0", func(c *chart) { c.lab(timeline.SpO2, "87", "d1 06:00", "") }, []string{"hypoxia resolved ?3 02-17T06:00 → 02-18T06:00 review"}},
		{"88 is not below 88", "hypoxia, episodeGap: PT24H", "5.0", func(c *chart) { c.lab(timeline.SpO2, "88", "d1 06:00", "") }, nil},
		{"6.0 grades below normal", "hypoxia, episodeGap: PT24H", "6.0", func(c *chart) { c.lab(timeline.SpO2, "91", "d1 06:00", "95..") }, []string{"hypoxia resolved g1 02-17T06:00 → 02-18T06:00"}},
		{"6.0 with a saturation below 88 leaves grade 1 to 3", "hypoxia, episodeGap: PT24H", "6.0", func(c *chart) { c.lab(timeline.SpO2, "87", "d1 06:00", "95..") }, []string{"hypoxia resolved g1-3 02-17T06:00 → 02-18T06:00 review"}},

		{"less than 80 mL in one shift", "urine-output-decreased", "5.0", func(c *chart) { c.urine("79", "d1 00:00", 8) }, []string{"urine-output-decreased open ?3 02-17T08:00 review"}},
		{"80 mL is enough", "urine-output-decreased", "5.0", func(c *chart) { c.urine("80", "d1 00:00", 8) }, nil},
		{"eight hours charted hour by hour", "urine-output-decreased", "5.0", func(c *chart) {
			for h := range 8 {
				c.urine("9", fmt.Sprintf("d1 %02d:00", h), 1)
			}
		}, []string{"urine-output-decreased open ?3 02-17T08:00 review"}},
		{"a missing hour is not zero", "urine-output-decreased", "5.0", func(c *chart) {
			for h := range 8 {
				if h != 3 {
					c.urine("9", fmt.Sprintf("d1 %02d:00", h), 1)
				}
			}
		}, nil},
		{"three oliguric shifts are anuria", "urine-output-decreased", "5.0", func(c *chart) {
			for shift := range 3 {
				c.urine("79", fmt.Sprintf("d1 %02d:00", 8*shift), 8)
			}
		}, []string{"urine-output-decreased open ?4 02-17T08:00 review"}},
		{"a record that reaches beyond the window decides only where it can", "urine-output-decreased", "5.0", func(c *chart) {
			c.urine("70", "d1 00:00", 12) // at most 70 in any 8 h of it
			c.urine("95", "d2 00:00", 12) // 0 to 95: not known
		}, []string{"urine-output-decreased open ?3 02-17T12:00 review"}},
		{"a volume without a period covers nothing", "urine-output-decreased", "5.0", func(c *chart) { c.lab(timeline.UrineOutput, "10", "d1 08:00", "") }, nil},
		{"a shift that is not over is not judged", "urine-output-decreased", "5.0", func(c *chart) { c.urine("5", "d3 20:00", 8).ReceivedAt = at("d3 21:00") }, nil},
		{"recovery ends it", "urine-output-decreased", "5.0", func(c *chart) { c.urine("79", "d1 00:00", 8); c.urine("300", "d1 08:00", 8) }, []string{"urine-output-decreased resolved ?3 02-17T08:00 → 02-17T16:00 review"}},

		{"an ejection fraction of 50 is grade 2", "ejection-fraction-decreased", "5.0", func(c *chart) { c.lab(timeline.LVEF, "50", "d1 06:00", "") }, []string{"ejection-fraction-decreased open g2 02-17T06:00"}},
		{"so is a fall of 10 points", "ejection-fraction-decreased", "5.0", func(c *chart) {
			c.lab(timeline.LVEF, "65", "d-8 06:00", "")
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.LVEF, "55", "d1 06:00", "")
		}, []string{"ejection-fraction-decreased open g2 02-17T06:00 base 0 emergent"}},

		{"replicate ECGs are averaged", "electrocardiogram-qt-corrected-interval-prolonged", "5.0", func(c *chart) {
			c.lab(timeline.QTc, "505", "d1 06:00", "")
			c.lab(timeline.QTc, "493", "d1 06:05", "")
			c.lab(timeline.QTc, "499", "d1 06:10", "")
		}, []string{"electrocardiogram-qt-corrected-interval-prolonged open g2 02-17T06:00"}},
		{"an ECG of 11 min later is another one", "electrocardiogram-qt-corrected-interval-prolonged", "5.0", func(c *chart) {
			c.lab(timeline.QTc, "499", "d1 06:00", "")
			c.lab(timeline.QTc, "505", "d1 06:11", "")
		}, []string{"electrocardiogram-qt-corrected-interval-prolonged open g3 02-17T06:00"}},
		{"4.03 wants two ECGs for grade 3", "electrocardiogram-qt-corrected-interval-prolonged", "4.03", func(c *chart) { c.lab(timeline.QTc, "505", "d1 06:00", "") }, []string{"electrocardiogram-qt-corrected-interval-prolonged open g2-3 02-17T06:00 review"}},
		{"and has them", "electrocardiogram-qt-corrected-interval-prolonged", "4.03", func(c *chart) {
			c.lab(timeline.QTc, "505", "d1 06:00", "")
			c.lab(timeline.QTc, "510", "d2 06:00", "")
		}, []string{"electrocardiogram-qt-corrected-interval-prolonged open g3 02-17T06:00"}},

		{"TSH and thyroxine", "hypothyroidism", "5.0", func(c *chart) {
			c.lab(timeline.TSH, "12", "d1 06:00", "0.4..4.5")
			c.lab(timeline.FreeT4Mass, "0.5", "d3 06:00", "0.8..1.8")
		}, []string{"hypothyroidism open ?1 02-19T06:00 review"}},
		{"a normal thyroxine is none", "hypothyroidism", "5.0", func(c *chart) {
			c.lab(timeline.TSH, "12", "d1 06:00", "0.4..4.5")
			c.lab(timeline.FreeT4Mass, "0.8", "d3 06:00", "0.8..1.8")
		}, nil},
		{"replacement is grade 2", "hypothyroidism", "5.0", func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.drug(timeline.Levothyroxine, "d1 08:00")
			c.lab(timeline.TSH, "12", "d2 06:00", "0.4..4.5")
			c.lab(timeline.FreeT4Molar, "6", "d2 06:00", "9..25")
		}, []string{"hypothyroidism open ?2 02-18T06:00 review"}},

		{"a fever after the cells", crs, "5.0", func(c *chart) { c.til(); c.temp("38.0", "d1 06:00") }, []string{"cytokine-release-syndrome resolved ?1 02-17T06:00 → 02-18T06:00 review"}},
		{"before them it is none", crs, "5.0", func(c *chart) { c.til(); c.temp("39", "d-1 06:00") }, nil},
		{"with a low pressure", crs, "5.0", func(c *chart) { c.til(); c.temp("38.5", "d1 06:00"); bp(c, "85", "50", "d1 08:00") }, []string{"cytokine-release-syndrome resolved ?2 02-17T06:00 → 02-18T06:00 review"}},
		{"with a vasopressor", crs, "5.0", func(c *chart) { c.til(); c.temp("38.5", "d1 06:00"); c.drug(timeline.Vasopressor, "d1 08:00") }, []string{"cytokine-release-syndrome resolved ?3 02-17T06:00 → 02-18T06:00 review"}},
		{"4.03 has another scale: with a vasopressor grade 4", crs, "4.03", func(c *chart) { c.til(); c.temp("38.5", "d1 06:00"); c.drug(timeline.Vasopressor, "d1 08:00") }, []string{"cytokine-release-syndrome resolved ?4 02-17T06:00 → 02-18T06:00 review"}},
		{"and a fever alone is nothing in it", crs, "4.03", func(c *chart) { c.til(); c.temp("38.5", "d1 06:00"); bp(c, "85", "50", "d1 08:00") }, nil},
		{"meperidine after IL-2", "chills, episodeGap: PT24H", "5.0", func(c *chart) { c.drug(timeline.Aldesleukin, "d1 08:00"); c.drug(timeline.Meperidine, "d1 12:00") }, []string{"chills resolved ?2 02-17T12:00 → 02-18T12:00 review"}},
		{"not after 4 h", "chills, episodeGap: PT24H", "5.0", func(c *chart) { c.drug(timeline.Aldesleukin, "d1 08:00"); c.drug(timeline.Meperidine, "d1 12:01") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			tt.build(c)
			want(t, detail(c.evaluate(pinned(t, tt.ctcae, tt.term), at("d4 00:00")).Findings, "tox."), tt.want...)
		})
	}
}
