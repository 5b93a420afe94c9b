package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Files are the protocol and site files of a running app, in the order in which they were given.
type Files struct{ Protocols, Sites []string }

// lookEvery is how often the files are looked at. They are read and not watched: a notification is lost on network file systems, names the old file after an editor has
// renamed a new one over it, and tells of another directory where Kubernetes swaps a link. Two small files in two seconds cost nothing.
const lookEvery = 2 * time.Second

// content is what stands in a file, by its hash; of one that cannot be read, why.
type content struct {
	hash [sha256.Size]byte
	fail string
}

func (f *Files) look() []content {
	var cs []content
	for _, name := range slices.Concat(f.Protocols, f.Sites) {
		data, err := readBounded(name)
		c := content{hash: sha256.Sum256(data)}
		if err != nil {
			c.fail = err.Error()
		}
		cs = append(cs, c)
	}
	return cs
}

// running is the content of what was given: of a protocol the very bytes that were parsed, of a site file those of now.
func (f *Files) running(protocols []*protocol.Protocol) []content {
	cs := f.look()
	for i := range f.Protocols {
		cs[i] = content{}
		_, _ = hex.Decode(cs[i].hash[:], []byte(protocols[i].Hash)) // the hash is ours
	}
	return cs
}

// load reads the files. The error says everything that is wrong with them.
func (f *Files) load() (ps []*protocol.Protocol, sites []*sitefile.Site, err error) {
	var errs []error
	var concepts []string
	for _, name := range f.Protocols {
		data, err := readBounded(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p, err := protocol.Parse(name, data)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, c := range p.Codes {
			concepts = append(concepts, c.Concept)
		}
		ps = append(ps, p)
	}
	for _, name := range f.Sites {
		data, err := readBounded(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s, err := sitefile.Parse(name, data, concepts...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sites = append(sites, s)
	}
	return ps, sites, errors.Join(errs...)
}

// readBounded reads a file, and no more of it than it takes to say that it is too large.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, max(protocol.MaxBytes, sitefile.MaxBytes)+1))
}

// followFiles takes changed files in until ctx ends. A file that is still being written is left alone until it stands still, unless somebody asks at once.
func (a *App) followFiles(ctx context.Context, running []content) error {
	o := &a.opts
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	handled, last := running, running
	for {
		now := false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-o.Reload:
			now = true
		}
		seen := o.Files.look()
		still := slices.Equal(seen, last)
		last = seen
		if slices.Equal(seen, handled) || !still && !now {
			continue
		}
		handled = seen
		if err := a.reload(ctx); err != nil && ctx.Err() == nil {
			a.refuse(err)
		}
	}
}

// reload lets what stands in the files run, or says why it does not.
func (a *App) reload(ctx context.Context) error {
	o := &a.opts
	ps, sites, err := o.Files.load()
	if err != nil {
		return err
	}
	if err := a.fits(ps, sites); err != nil {
		return err
	}
	decoder, err := NewDecoder(ps, o.BaseURLs, sites...)
	if err != nil {
		return err
	}
	through := uint64(0)
	if a.intake != nil {
		a.intake.Use(decoder)
		if through, err = a.reread(ctx, false); err != nil {
			return err
		}
	}
	if a.watch != nil {
		if err := a.persist(ctx, "the protocol cannot be stored yet", func() error { return a.keep(ctx, ps) }); err != nil {
			return err
		}
		a.watch.Use(ps, through)
	}
	if a.aggregate != nil {
		a.aggregate.Use(ps)
		a.pool.Use(ps)
	}
	o.Protocols, o.Sites = ps, sites
	a.notice.Store(nil)
	if a.hub != nil {
		a.hub.SetStudies(studies(ps))
		a.hub.SetNotice("")
	}
	if a.pooledHub != nil {
		a.pooledHub.SetStudies(pooledStudies(ps))
	}
	a.metrics.Reload("applied", false)
	for _, p := range ps {
		o.Logger.Info().Str("study", p.Study).Str("version", p.Version).Str("hash", p.Hash[:16]).Msg("protocol loaded")
	}
	return nil
}

// fits reports what keeps files from replacing those that run.
func (a *App) fits(ps []*protocol.Protocol, sites []*sitefile.Site) error {
	var errs []error
	for i, p := range ps {
		was := a.opts.Protocols[i]
		if p.Study != was.Study {
			errs = append(errs, fmt.Errorf("%s: the study is %s and was %s: that takes a new start", a.opts.Files.Protocols[i], p.Study, was.Study))
			continue
		}
		errs = append(errs, a.judgesPast(a.opts.Files.Protocols[i], was, p)...)
	}
	if err := eachOnce(sites); err != nil {
		errs = append(errs, err)
	}
	for i, s := range sites {
		if was := a.opts.Sites[i]; s.Name != was.Name || s.Timezone != was.Timezone {
			errs = append(errs, fmt.Errorf("%s: the name or the zone of the site is another: that takes a new start", a.opts.Files.Sites[i]))
		}
	}
	return errors.Join(errs...)
}

// judgesPast says what of a protocol judges the past in another way than the one before, and does not say so.
func (a *App) judgesPast(file string, was, p *protocol.Protocol) (errs []error) {
	if accepted := a.opts.AcceptProtocol; accepted != "" && strings.HasPrefix(p.Hash, accepted) {
		return nil
	}
	for _, u := range protocol.DiffPast(was, p) {
		errs = append(errs, fmt.Errorf("%s: %s %s", file, u.Path, u.Text))
	}
	if len(errs) > 0 {
		errs = append(errs, fmt.Errorf("%s: to judge the past by it all the same: serve --accept-protocol %.16s", file, p.Hash))
	}
	return errs
}

// compareWithKept holds the protocols of a start against those by which their studies were judged last. One that would judge the past without saying so does not
// run: the one before goes on, as if the file had changed under a running process.
func (a *App) compareWithKept(ctx context.Context) error {
	o := &a.opts
	running := slices.Clone(o.Protocols)
	var errs []error
	for i, p := range o.Protocols {
		if !slices.Contains(o.Stages, StageWatch) {
			break // another process judges
		}
		text, err := consumers.KeptProtocol(ctx, a.js, p.Study)
		if err != nil {
			return err
		}
		if text == nil {
			continue
		}
		was, err := protocol.Parse("the protocol that judged before", text)
		if err != nil { // an older trialwatch took it
			o.Logger.Warn().Str("study", p.Study).Strs("errors", eachError(err)).Msg("the protocol that judged before cannot be read: nothing says whether this one judges the past")
			continue
		}
		name := p.Study
		if len(o.Files.Protocols) > 0 {
			name = o.Files.Protocols[i]
		}
		if refused := a.judgesPast(name, was, p); refused != nil {
			errs = append(errs, refused...)
			running[i] = was
		}
	}
	o.Protocols = running
	for _, p := range running {
		o.Logger.Info().Str("study", p.Study).Str("version", p.Version).Str("hash", p.Hash[:16]).Str("ctcae", string(p.CTCAE)).Msg("protocol loaded")
	}
	if len(errs) > 0 {
		a.refuse(errors.Join(errs...))
	}
	return a.keep(ctx, running)
}

// keep stores the files that judge from now on, where it is this process that judges.
func (a *App) keep(ctx context.Context, ps []*protocol.Protocol) error {
	if !slices.Contains(a.opts.Stages, StageWatch) {
		return nil
	}
	for _, p := range ps {
		kept, err := consumers.KeptProtocol(ctx, a.js, p.Study)
		if err != nil {
			return err
		}
		if bytes.Equal(kept, p.File) {
			continue
		}
		if err := consumers.KeepProtocol(ctx, a.js, p); err != nil {
			return err
		}
	}
	return nil
}

// refuse says everywhere that what runs is not what stands in the files.
func (a *App) refuse(err error) {
	for _, e := range eachError(err) {
		a.opts.Logger.Error().Str("error", e).Msg("changed file refused: what ran goes on")
	}
	var names []string
	for _, p := range a.opts.Protocols {
		names = append(names, fmt.Sprintf("%s %s (%.8s)", p.Study, p.Version, p.Hash))
	}
	text := "The changed protocol or site file was refused, see the log. What runs is " + strings.Join(names, " and ")
	a.notice.Store(&text)
	if a.hub != nil {
		a.hub.SetNotice(text)
	}
	a.metrics.Reload("refused", true)
}

// eachError is everything that is wrong, one by one.
func eachError(err error) []string {
	var several interface{ Unwrap() []error }
	var list document.Errors
	var texts []string
	switch {
	case errors.As(err, &several):
		for _, e := range several.Unwrap() {
			texts = append(texts, eachError(e)...)
		}
	case errors.As(err, &list):
		for _, e := range list {
			texts = append(texts, e.Error())
		}
	default:
		texts = []string{err.Error()}
	}
	return texts
}

// reread has intake read again what another decoder has read, or with anew set also facts whose loss is accepted, and does not give up while the broker is away.
func (a *App) reread(ctx context.Context, anew bool) (through uint64, err error) {
	err = a.persist(ctx, "resources cannot be read again yet", func() error {
		all := false
		if anew && a.opts.AcceptLoss != "" {
			if all, err = consumers.AcceptsLoss(ctx, a.js, a.opts.AcceptLoss); err != nil {
				return err
			}
		}
		through, err = a.intake.Reread(ctx, all)
		return err
	})
	return through, err
}

// persist does something until it succeeds or ctx ends, and logs why it does not.
func (a *App) persist(ctx context.Context, failing string, do func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		a.opts.Logger.Warn().Err(err).Dur("again_in", wait).Msg(failing)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
