package unit

import (
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// table is what one reads of a family: spellings separated by blanks, and the unit that they all are.
type table []struct {
	spellings string
	unit      Unit
}

var (
	one        = Scaled(1, 1)
	thousand   = Scaled(1000, 1)
	thousandth = Scaled(1, 1000)
)

// Tables that several families share. The canonical unit stands first, and the factors are relative to it. Spellings beyond UCUM are those of
// laboratories and EHRs; 1 kPa is 7.50062 mm[Hg] by convention.
var (
	counts = table{ // of cells
		{"10*9/L 10*3/uL 10*3/mm3 10*3/mm*3 K/uL K/mm3 K/cumm K/cmm thou/uL thou/mm3 thou/cumm thousand/uL G/L Gpt/L /nL", one}, // G is giga
		{"/uL 1/uL cells/uL /mm3 /mm*3 cells/mm3 /cumm /cmm 10*6/L 10*3/mL", thousandth},
	}
	percent  = table{{"%", one}}
	enzyme   = table{{"U/L unit/L units/L IU/L [IU]/L", one}, {"ukat/L", Scaled(60, 1)}, {"nkat/L", Scaled(6, 100)}}
	protein  = table{{"g/L", one}, {"g/dL gm/dL g% gm%", Scaled(10, 1)}, {"mg/dL mg%", Scaled(1, 100)}}
	mgPerDL  = table{{"mg/dL mg%", one}, {"mg/L", Scaled(1, 10)}}
	mgOrG    = table{{"mg/dL mg%", one}, {"g/L", Scaled(100, 1)}}
	mmol     = table{{"mmol/L", one}}
	umol     = table{{"umol/L", one}, {"mmol/L", thousand}}
	oneIon   = table{{"mmol/L mEq/L", one}}                    // one charge: a mole is one equivalent
	twoIon   = table{{"mmol/L", one}, {"mEq/L", Scaled(1, 2)}} // two charges: a mole is two
	pressure = table{{"mm[Hg] mmHg", one}, {"kPa", Scaled(750_062, 100_000)}}
	perMin   = table{{"/min 1/min bpm beats/min beats/minute {beats}/min", one}}
)

// sorted are the families by analyte.
var (
	sorted    = build()
	byAnalyte = index(sorted)
)

func build() []*Family {
	list := slices.Concat(
		single(timeline.Neutrophils, "0", "100", counts),
		single(timeline.NeutrophilsPercent, "0", "100", percent),
		single(timeline.Segs, "0", "100", counts),
		single(timeline.SegsPercent, "0", "100", percent),
		single(timeline.Bands, "0", "100", counts),
		single(timeline.BandsPercent, "0", "100", percent),
		single(timeline.Leukocytes, "0", "500", counts),
		single(timeline.Lymphocytes, "0", "500", counts),
		single(timeline.CD4, "0", "50", counts),
		single(timeline.Platelets, "0", "3000", counts),
		pair(timeline.HemoglobinMass, "10", "300", protein, timeline.HemoglobinMolar, "0.6", "19", mmol),

		single(timeline.ALT, "0", "50000", enzyme),
		single(timeline.AST, "0", "50000", enzyme),
		single(timeline.ALP, "0", "50000", enzyme),
		single(timeline.GGT, "0", "50000", enzyme),
		single(timeline.LDH, "0", "100000", enzyme),
		single(timeline.Lipase, "0", "100000", enzyme),
		single(timeline.Amylase, "0", "100000", enzyme),
		single(timeline.CPK, "0", "1000000", enzyme), // of rhabdomyolysis

		pair(timeline.CreatinineMass, "0.05", "30", mgPerDL, timeline.CreatinineMolar, "4", "2650", umol),
		single(timeline.CreatinineClearance, "0", "400", table{{"mL/min", one}, {"mL/s", Scaled(60, 1)}}),
		pair(timeline.BilirubinMass, "0", "100", mgPerDL, timeline.BilirubinMolar, "0", "1710", umol),
		single(timeline.Sodium, "80", "220", oneIon),
		single(timeline.Potassium, "0.5", "15", oneIon),
		// A normal value in the unit of the sibling is outside, here and for ionized calcium and the lipids with a lower bound.
		pair(timeline.CalciumMass, "3", "30", mgPerDL, timeline.CalciumMolar, "0.75", "7.5", twoIon),
		pair(timeline.CalciumCorrectedMass, "3", "30", mgPerDL, timeline.CalciumCorrectedMolar, "0.75", "7.5", twoIon),
		pair(timeline.CalciumIonizedMass, "1.4", "16", mgPerDL, timeline.CalciumIonizedMolar, "0.35", "4", twoIon),
		pair(timeline.MagnesiumMass, "0.1", "25", mgPerDL, timeline.MagnesiumMolar, "0.04", "10", twoIon),
		pair(timeline.PhosphateMass, "0.1", "30", mgPerDL, timeline.PhosphateMolar, "0.03", "10", mmol),
		pair(timeline.GlucoseMass, "0", "3000", mgOrG, timeline.GlucoseMolar, "0", "170", mmol),
		pair(timeline.GlucoseFastingMass, "0", "3000", mgOrG, timeline.GlucoseFastingMolar, "0", "170", mmol),
		pair(timeline.UrateMass, "0", "60", mgPerDL, timeline.UrateMolar, "0", "3600", umol),
		pair(timeline.CholesterolMass, "15", "3000", mgOrG, timeline.CholesterolMolar, "0.4", "80", mmol),
		pair(timeline.HDLMass, "0", "400", mgOrG, timeline.HDLMolar, "0", "10", mmol),
		pair(timeline.LDLMass, "0", "2000", mgOrG, timeline.LDLMolar, "0", "52", mmol),
		pair(timeline.TriglyceridesMass, "5", "40000", mgOrG, timeline.TriglyceridesMolar, "0.05", "450", mmol),
		single(timeline.Albumin, "5", "100", protein),
		single(timeline.Fibrinogen, "0", "30", protein),
		single(timeline.Haptoglobin, "0", "20", protein),
		bare(timeline.INR, "0.1", "30", "1 {INR} INR ratio {ratio}"),
		single(timeline.APTT, "5", "600", table{{"s sec seconds", one}}),
		bare(timeline.PH, "6.3", "8.2", "[pH] pH {pH} 1"),
		single(timeline.TSH, "0", "2000", table{{"m[IU]/L mIU/L mU/L u[IU]/mL uIU/mL uU/mL", one}}),
		pair(timeline.FreeT4Mass, "0", "50", table{{"ng/dL", one}, {"pg/mL ng/L", Scaled(1, 10)}}, timeline.FreeT4Molar, "0", "650", table{{"pmol/L", one}}),

		single(timeline.Temperature, "25", "45", table{
			{"Cel degC °C C celsius", one},
			{"[degF] degF °F F fahrenheit", Unit{decimal.Int(-32), decimal.New(5, 9)}},
		}),
		single(timeline.Weight, "1", "400", table{{"kg", one}, {"g", thousandth}, {"[lb_av] lb lbs", Scaled(45_359_237, 100_000_000)}}),
		single(timeline.Height, "30", "250", table{{"cm", one}, {"m", Scaled(100, 1)}, {"mm", Scaled(1, 10)}, {"[in_i] in inch inches", Scaled(254, 100)}}),
		single(timeline.Systolic, "0", "350", pressure),
		single(timeline.Diastolic, "0", "250", pressure),
		single(timeline.HeartRate, "0", "350", perMin),
		single(timeline.SpO2, "10", "100", percent),
		single(timeline.PaO2, "0", "800", pressure),
		single(timeline.OxygenFlow, "0", "100", table{{"L/min lpm liters/min", one}, {"mL/min", thousandth}}),
		single(timeline.FiO2, "15", "100", percent), // a fraction that calls itself a percentage is outside
		single(timeline.UrineOutput, "0", "20000", table{{"mL cc", one}, {"L", thousand}}),
		single(timeline.LVEF, "5", "100", percent),
		single(timeline.QTc, "150", "1000", table{{"ms msec", one}, {"s sec", thousand}}),
		bare(timeline.ICEScore, "0", "10", "1 {score} score {points} points"),
	)
	slices.SortFunc(list, func(a, b *Family) int { return strings.Compare(a.Analyte, b.Analyte) })
	return list
}

// kinds are the families that no analyte has for itself: what a trial measures of its own is one of them. Their ranges catch a slip of the unit only where
// the kind has a natural end.
var (
	kindList = slices.Concat(
		single("share", "0", "100", percent),
		bare("ratio", "0", "1000000", "1 {ratio} ratio {score} score"),
		single("count", "0", "1000", counts),
		single("cells", "0", "10000", table{{"10*9 10*9{cells} 10*9cells billion", one}, {"10*6 10*6{cells} 10*6cells million", thousandth}}),
		single("concentration", "0", "100000000", table{{"pg/mL ng/L", one}, {"ng/mL ug/L", thousand}, {"ng/dL", Scaled(10, 1)}, {"ug/mL mg/L", Scaled(1_000_000, 1)}}),
		single("activity", "0", "100000000", table{{"U/mL [IU]/mL IU/mL k[IU]/L kU/L", one}, {"U/L [IU]/L IU/L", thousandth}}),
		single("intensity", "0", "100000000", table{{"{MFI} MFI [MFI]", one}}),
	)
	kinds = byUnit(kindList)
)

func byUnit(list []*Family) map[string]*Family {
	m := make(map[string]*Family, len(list))
	for _, f := range list {
		m[f.Canonical] = f
	}
	return m
}

func index(list []*Family) map[string]*Family {
	m := make(map[string]*Family, len(list))
	for _, f := range list {
		m[f.Analyte] = f
	}
	return m
}

// single is a family without a sibling.
func single(analyte, low, top string, t table) []*Family {
	f := &Family{Analyte: analyte, Low: decimal.Must(low), Top: decimal.Must(top), units: map[string]Unit{}}
	for _, r := range t {
		for s := range strings.FieldsSeq(r.spellings) {
			f.spellings = append(f.spellings, s)
			f.units[Spelling(s)] = r.unit
		}
	}
	f.Canonical = f.spellings[0]
	return []*Family{f}
}

// pair is a substance as a mass and in moles.
func pair(mass, massLow, massTop string, massUnits table, molar, molarLow, molarTop string, molarUnits table) []*Family {
	a, b := single(mass, massLow, massTop, massUnits)[0], single(molar, molarLow, molarTop, molarUnits)[0]
	a.Sibling, a.Counts = molar, "mass"
	b.Sibling, b.Counts = mass, "moles"
	return []*Family{a, b}
}

// bare is a quantity without a dimension.
func bare(analyte, low, top, spellings string) []*Family {
	f := single(analyte, low, top, table{{spellings, one}})
	f[0].Bare, f[0].units[""] = true, one
	return f
}
