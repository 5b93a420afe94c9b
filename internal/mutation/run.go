package mutation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Verdict is what became of a mutant.
type Verdict struct {
	*Mutant
	Noticed string // the scenario that notices, "" if none does
	Invalid string // why it does not lint, "" if it does: nobody could run it
	Same    bool   // it says what the protocol says, a default in words
}

// Survives reports whether no scenario notices a change that somebody could make.
func (v *Verdict) Survives() bool { return v.Noticed == "" && v.Invalid == "" && !v.Same }

// Sample draws n of the mutants, in their order; all of them for 0.
func Sample(mutants []Mutant, n int, random *rand.Rand) []Mutant {
	if n == 0 || n >= len(mutants) {
		return mutants
	}
	drawn := random.Perm(len(mutants))[:n]
	slices.Sort(drawn)
	sample := make([]Mutant, n)
	for i, at := range drawn {
		sample[i] = mutants[at]
	}
	return sample
}

// Run asks of every mutant whether a scenario notices, and returns the verdicts in the order of the mutants.
func Run(r *scenario.Runner, stories []*scenario.Scenario, mutants []Mutant) ([]Verdict, error) {
	original, err := protocol.Parse(r.File, r.Protocol)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(mutants))
	errs := make([]error, len(mutants))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			// What noticed the last mutant is asked first: neighbours in the file are noticed by the same stories. The verdict does not depend on it, only the name of
			// the story that is said to notice.
			order := slices.Clone(stories)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(mutants) {
					return
				}
				verdicts[i], errs[i] = judge(r, original, order, &mutants[i])
			}
		})
	}
	wg.Wait()
	return verdicts, errors.Join(errs...)
}

// judge asks the stories in their order and moves the one that notices to the front.
func judge(r *scenario.Runner, original *protocol.Protocol, stories []*scenario.Scenario, m *Mutant) (v Verdict, err error) {
	v.Mutant = m
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: a scenario does not come to its end: %v", m.Name(), p)
		}
	}()
	p, err := protocol.Parse(r.File, m.Text)
	if errs, ok := errors.AsType[protocol.Errors](err); ok {
		v.Invalid = errs[0].Message
		return v, nil
	}
	if err != nil {
		return v, err
	}
	if v.Same = len(protocol.Diff(original, p)) == 0; v.Same {
		return v, nil
	}
	decoder, err := r.NewDecoder([]*protocol.Protocol{p})
	if err != nil {
		return v, fmt.Errorf("%s: %w", m.Name(), err)
	}
	for i, s := range stories {
		noticed, err := r.Notices(s, m.Text, p, decoder)
		if err != nil {
			return v, fmt.Errorf("%s: %w", m.Name(), err)
		}
		if noticed {
			copy(stories[1:i+1], stories[:i])
			stories[0] = s
			v.Noticed = s.Name
			return v, nil
		}
	}
	return v, nil
}
