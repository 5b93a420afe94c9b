package offline

import (
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/site"
)

// Explain proves what is found of a subject at an instant, in every study and site that has one of that name, sorted by study and site. subjects are all
// that are enrolled, sorted: for somebody who has misspelt one.
func (e *Evaluator) Explain(subject string, now time.Time) (es []*rules.Explanation, subjects []string) {
	sites := map[string]*site.Site{}
	for i := range e.items {
		f := e.items[i].fact
		if f.ReceivedAt.After(now) {
			continue
		}
		if sites[f.Site] == nil {
			sites[f.Site] = e.site(f.Site)
		}
		sites[f.Site].Apply(f)
	}
	for _, name := range sortedKeys(sites) {
		for _, p := range sites[name].Patients() {
			for _, proto := range e.protocols {
				switch who := p.Answer(proto, now).Subject; who {
				case "":
				case subject:
					es = append(es, p.Explain(proto, now))
					fallthrough
				default:
					subjects = append(subjects, who)
				}
			}
		}
	}
	slices.SortStableFunc(es, func(a, b *rules.Explanation) int {
		return strings.Compare(a.Study+"\x00"+a.Site, b.Study+"\x00"+b.Site)
	})
	slices.Sort(subjects)
	return es, slices.Compact(subjects)
}
