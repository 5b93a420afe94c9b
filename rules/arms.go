package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// armChanged reports an assigned arm that is another one than before: in an earlier version of the ResearchSubject, or in another ResearchSubject of the study. Doses
// are judged by the arm that counts now, and somebody must say which one was meant. The actual arm may differ: that is how a patient was treated.
//
// Source: ICH E9, 5.2.1: patients are analysed as randomised, so the assignment is not changed without a trace.
func armChanged(c *Case) {
	report := func(key string, was, is *timeline.Fact) {
		f := Finding{
			Rule: "data.arm-changed", Key: key, Onset: changedAt(is), Detected: later(was.ReceivedAt, is.ReceivedAt), NeedsReview: true,
			Message: fmt.Sprintf("The assigned arm was %s and is %s. Doses are judged by %s. Review.", c.armName(was), c.armName(is), c.armName(c.enrolled)),
		}
		for _, e := range []*timeline.Fact{was, is} {
			f.Evidence = append(f.Evidence, Evidence{Ref: e.Ref.String(), Version: e.Version.ID, Role: "assigned arm", At: changedAt(e), Value: e.Enrolment.AssignedArm})
		}
		c.report(f)
	}
	for _, current := range c.Timeline.Others() {
		if !c.enrols(current) {
			continue
		}
		key := current.Ref.String()
		if current != c.enrolled {
			if c.armName(current) != c.armName(c.enrolled) {
				report(key+"+"+c.enrolled.Ref.String(), current, c.enrolled)
			}
			continue
		}
		// Back from the current version: where this arm began, and what it was before.
		is := current
		for _, was := range slices.Backward(c.Timeline.Versions(current.Ref)) {
			if was.Enrolment == nil || was.Enrolment.AssignedArm == "" || !c.Protocol.Names(was.Enrolment.Study) {
				continue
			}
			if c.armName(was) != c.armName(current) {
				report(key, was, is)
				break
			}
			is = was
		}
	}
}

// armKnownAt is since when it was known that the patient is assigned to this arm: the first receipt among the last versions of the ResearchSubject that all name it. What
// a later version says otherwise, that the patient left the study for one, makes nothing known later that was known before.
func (c *Case) armKnownAt() time.Time {
	known := c.enrolled.ReceivedAt
	for _, v := range slices.Backward(c.Timeline.Versions(c.enrolled.Ref)) {
		if v.Enrolment == nil || !c.Protocol.Names(v.Enrolment.Study) {
			continue
		}
		if c.armName(v) != c.armName(c.enrolled) {
			break
		}
		if v.ReceivedAt.Before(known) {
			known = v.ReceivedAt
		}
	}
	return known
}

// enrols reports a ResearchSubject of this study that names an arm.
func (c *Case) enrols(f *timeline.Fact) bool {
	return f.Enrolment != nil && f.Enrolment.AssignedArm != "" && c.Protocol.Names(f.Enrolment.Study) && f.Visible(c.Now) && slices.Contains(enrolledStatus, f.Enrolment.Status)
}

// armName is the arm that a ResearchSubject assigns: the protocol's id, or as it was sent where the protocol knows no such arm.
func (c *Case) armName(f *timeline.Fact) string {
	if arm := c.Protocol.ArmOf(f.Enrolment.AssignedArm); arm != protocol.Unassigned {
		return arm
	}
	return cmp.Or(f.Enrolment.AssignedArm, protocol.Unassigned)
}

// changedAt is when a version of a resource was made, as far as it says.
func changedAt(f *timeline.Fact) time.Time { return cmp.Or(f.Version.LastUpdated, f.ReceivedAt) }
