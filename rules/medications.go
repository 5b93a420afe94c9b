package rules

import (
	"fmt"
)

// shownWaiting is how many administrations a finding lists: where a feed sends no Medication at all, a patient has hundreds.
const shownWaiting = 20

// unresolvedMedications reports administrations whose drug is in a Medication that has not come medicationWait after their receipt: what was given is not
// known, and it may have been a study drug. One finding speaks for all of them, so that a feed without Medications is one alert a patient.
//
// Source: design; nothing that was sent may be lost in silence.
func unresolvedMedications(c *Case) {
	f := Finding{Rule: "data.ungradable", Key: "medication"}
	n := 0
	for _, d := range c.Timeline.Doses() {
		if d.Dose.Drug != "" || d.Dose.Medication == "" || !c.graded(d) || d.At.Start.Before(c.Enrolment.Start.Start) {
			continue
		}
		overdue := d.ReceivedAt.Add(c.Protocol.MedicationWait.D())
		if c.Now.Before(overdue) {
			c.wake(overdue)
			continue
		}
		if n++; n == 1 {
			f.Onset, f.Detected = d.At.Start, later(overdue, c.enrolled.ReceivedAt)
		}
		if n <= shownWaiting {
			f.Evidence = append(f.Evidence, factEvidence(d, "dose", d.Dose.Status+" of "+d.Dose.Medication))
		}
	}
	switch n {
	case 0:
		return
	case 1:
		f.Message = "An administration refers to a Medication that was not sent or was taken back"
	default:
		f.Message = fmt.Sprintf("%d administrations refer to Medications that were not sent or were taken back", n)
	}
	if n > shownWaiting {
		f.Message += fmt.Sprintf(" (the first %d are listed)", shownWaiting)
	}
	f.Message += ": what was given is not known, and it counts as no dose. Review."
	c.report(f)
}
