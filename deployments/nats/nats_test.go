// Package nats_test runs a real nats-server with the configuration that we ship.
package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
)

const shipped = "nats-server.conf"

var roles = []string{"trialwatch", "ehr", "coordinator", "dashboard", "masked", "operator"}

func password(role string) string { return "p-" + role }

// environment is what the shipped configuration reads.
func environment(store string) []string {
	env := []string{"NATS_STORE=" + store, "SYS_PASSWORD=" + password("sys")}
	for _, r := range roles {
		env = append(env, strings.ToUpper(r)+"_PASSWORD="+password(r))
	}
	return env
}

// edited writes a changed copy of the shipped configuration: the controls.
func edited(t *testing.T, change func(string) string) string {
	t.Helper()
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	after := change(string(data))
	if after == string(data) {
		t.Fatal("the control changes nothing of the shipped configuration")
	}
	name := filepath.Join(t.TempDir(), shipped)
	if err := os.WriteFile(name, []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// connect connects as a role, as trialwatch's own commands do.
func connect(t *testing.T, url, role string) *nats.Conn {
	t.Helper()
	nc, err := app.Access{URL: url, User: role, Password: password(role)}.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	// A refusal is what we look for: without a handler the client prints each.
	nc.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	t.Cleanup(nc.Close)
	return nc
}

func TestAcknowledgedMeansOnDisk(t *testing.T) {
	bin := natstest.Build(t)
	syncs := func(conf string) bool {
		s := natstest.StartConfig(t, bin, conf, environment(t.TempDir())...)
		resp, err := http.Get(s.Monitor + "/varz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var varz struct {
			JetStream struct {
				Config struct {
					SyncAlways bool  `json:"sync_always"`
					MaxStore   int64 `json:"max_storage"`
				} `json:"config"`
			} `json:"jetstream"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&varz); err != nil {
			t.Fatal(err)
		}
		if got := varz.JetStream.Config.MaxStore; got != 16<<30 {
			t.Errorf("the server's limit is %d bytes, want 16 GiB", got)
		}
		return varz.JetStream.Config.SyncAlways
	}
	if !syncs(shipped) {
		t.Error("with the shipped configuration the server acknowledges before the disk has a message")
	}
	control := edited(t, func(s string) string { return strings.Replace(s, "sync_interval: always", "", 1) })
	if syncs(control) {
		t.Error("without sync_interval the server says that it syncs too: this test sees nothing")
	}
}

// TestNoPassword: a configuration with a hole must not start with an empty password.
func TestNoPassword(t *testing.T) {
	bin := natstest.Build(t)
	for _, missing := range append(slices.Clone(roles), "sys") {
		cmd := exec.Command(bin, "-c", shipped, "-t")
		for _, e := range environment(t.TempDir()) {
			if !strings.HasPrefix(e, strings.ToUpper(missing)+"_") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("without a password of %s the server accepts its configuration: %s", missing, out)
		}
	}
	cmd := exec.Command(bin, "-c", shipped, "-t")
	cmd.Env = environment(t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("with all passwords: %v: %s", err, out)
	}
}

// may is the table: who may publish to and subscribe to what. Whoever is not named must be refused.
var may = []struct {
	what    string // "pub" or "sub", and the subject
	allowed string
}{
	{"pub fhir.main.Observation", "trialwatch ehr operator"},
	{"pub fhir.other.Observation", "trialwatch operator"},
	{"pub facts.main.x", "trialwatch"},
	{"pub deadletters.main.x", "trialwatch"},
	{"pub alerts.til-il2.main.x", "trialwatch"},
	{"pub standings.main.x", "trialwatch"},
	{"pub checkpoints.main", "trialwatch"},
	{"pub aggregates.til-il2.feed", "trialwatch"},
	{"pub pooled.til-il2.feed", "trialwatch"},
	{"pub pooling.til-il2", "trialwatch"},
	{"pub acks.til-il2.main.x", "trialwatch"},
	{"pub anything", "trialwatch"},

	{"sub fhir.>", "trialwatch operator"},
	{"sub fhir.main.Observation", "trialwatch operator"},
	{"sub facts.>", "trialwatch operator"},
	{"sub deadletters.>", "trialwatch operator"},
	{"sub alerts.>", "trialwatch operator coordinator"},
	{"sub alerts.til-il2.main.*", "trialwatch operator coordinator"},
	{"sub standings.>", "trialwatch operator"},
	{"sub checkpoints.>", "trialwatch operator"},
	{"sub aggregates.>", "trialwatch operator coordinator dashboard"},
	{"sub aggregates.til-il2.toxicity", "trialwatch operator coordinator dashboard"},
	{"sub pooled.>", "trialwatch operator masked"},
	{"sub pooled.til-il2.toxicity", "trialwatch operator masked"},
	{"sub *.til-il2.toxicity", "trialwatch operator"},
	{"sub pooling.>", "trialwatch operator"},
	{"sub *.til-il2", "trialwatch operator"},
	{"sub >", "trialwatch operator"},
	{"sub $JS.API.>", "trialwatch operator"},
	{"sub $JS.EVENT.ADVISORY.>", "trialwatch operator"},
	{"sub _INBOX.>", "trialwatch operator"},
	{"sub _INBOX.trialwatch.>", "trialwatch operator"},
	{"sub _INBOX.ehr.>", "trialwatch operator ehr"},
	{"sub _INBOX.coordinator.>", "trialwatch operator coordinator"},
	{"sub _INBOX.dashboard.>", "trialwatch operator dashboard"},
	{"sub _INBOX.masked.>", "trialwatch operator masked"},

	{"pub $JS.API.STREAM.CREATE.X", "trialwatch operator"},
	{"pub $JS.API.STREAM.DELETE.OUT", "trialwatch operator"},
	{"pub $JS.API.STREAM.PURGE.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.STREAM.UPDATE.FHIR", "trialwatch operator"},
	{"pub $JS.API.STREAM.SNAPSHOT.FACTS", "trialwatch operator"},
	{"pub $JS.API.STREAM.NAMES", "trialwatch operator"},
	{"pub $JS.API.STREAM.INFO.OUT", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.GET.OUT", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.GET.DEADLETTERS", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.DELETE.OUT", "trialwatch operator"},
	{"pub $JS.API.DIRECT.GET.FACTS", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.NAMES.OUT", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.LIST.OUT", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.DELETE.FHIR.intake", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.MSG.NEXT.FHIR.intake", "trialwatch operator"},
	{"pub $JS.ACK.FHIR.intake.1.1.1.1.1", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.FHIR.x.fhir.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.FACTS.x.facts.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.DEADLETTERS.x.deadletters.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.DURABLE.CREATE.OUT.x", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x.standings.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x.checkpoints.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x.alerts.>", "trialwatch operator coordinator"},
	{"pub $JS.API.CONSUMER.CREATE.OUT.x.alerts.til-il2.main.*", "trialwatch operator coordinator"},
	{"pub $JS.API.CONSUMER.MSG.NEXT.OUT.x", "trialwatch operator coordinator"},
	{"pub $JS.API.CONSUMER.CREATE.AGGREGATES.x.aggregates.>", "trialwatch operator coordinator dashboard"},
	{"pub $JS.API.CONSUMER.MSG.NEXT.AGGREGATES.x", "trialwatch operator coordinator dashboard"},
	{"pub $JS.API.CONSUMER.CREATE.AGGREGATES.x", "trialwatch operator coordinator dashboard"},
	{"pub $JS.API.CONSUMER.CREATE.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.DURABLE.CREATE.AGGREGATES.x", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.INFO.AGGREGATES.x", "trialwatch operator coordinator dashboard"},
	{"pub $JS.API.CONSUMER.NAMES.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.STREAM.INFO.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.GET.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.DIRECT.GET.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.DIRECT.GET.AGGREGATES.aggregates.til-il2.toxicity", "trialwatch operator"},
	{"pub $JS.API.STREAM.SNAPSHOT.AGGREGATES", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.POOLED.x.pooled.>", "trialwatch operator masked"},
	{"pub $JS.API.CONSUMER.CREATE.POOLED.x", "trialwatch operator masked"},
	{"pub $JS.API.CONSUMER.MSG.NEXT.POOLED.x", "trialwatch operator masked"},
	{"pub $JS.API.STREAM.INFO.POOLED", "trialwatch operator"},
	{"pub $JS.API.STREAM.UPDATE.POOLED", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.GET.POOLED", "trialwatch operator"},
	{"pub $JS.API.DIRECT.GET.POOLED", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.POOLING.x.pooling.>", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.CREATE.POOLING.x", "trialwatch operator"},
	{"pub $JS.API.CONSUMER.MSG.NEXT.POOLING.x", "trialwatch operator"},
	{"pub $JS.API.STREAM.MSG.GET.POOLING", "trialwatch operator"},
	{"pub $JS.API.DIRECT.GET.POOLING.pooling.til-il2", "trialwatch operator"},
	{"pub $JS.API.STREAM.INFO.POOLING", "trialwatch operator"},
}

// asDeclared tries the whole table and says where the server does otherwise.
func asDeclared(t *testing.T, url string) (wrong []string) {
	t.Helper()
	for _, role := range roles {
		nc := connect(t, url, role)
		for _, row := range may {
			op, subject, _ := strings.Cut(row.what, " ")
			before := nc.LastError()
			var err error
			if op == "sub" {
				var sub *nats.Subscription
				if sub, err = nc.SubscribeSync(subject); err == nil {
					defer func() { _ = sub.Unsubscribe() }()
				}
			} else {
				// An empty body is no valid request of the API, and no stream exists yet: what is allowed does nothing.
				err = nc.Publish(subject, nil)
			}
			if err = errors.Join(err, nc.Flush()); err != nil {
				t.Fatal(err)
			}
			// The server's refusal comes before its answer to the flush.
			last := nc.LastError()
			refused := !errors.Is(last, before) && errors.Is(last, nats.ErrPermissionViolation)
			if want := !slices.Contains(strings.Fields(row.allowed), role); refused != want {
				wrong = append(wrong, fmt.Sprintf("%s: %s: refused=%t", role, row.what, refused))
			}
		}
	}
	return wrong
}

func TestRoles(t *testing.T) {
	bin := natstest.Build(t)
	s := natstest.StartConfig(t, bin, shipped, environment(t.TempDir())...)
	for _, w := range asDeclared(t, s.URL) {
		t.Error(w)
	}
	if _, err := nats.Connect(s.URL); err == nil {
		t.Error("the server lets in a client without a password")
	}

	t.Run("control without permissions", func(t *testing.T) {
		open := edited(t, func(s string) string { return strings.ReplaceAll(s, "allow: [", `allow: [">", `) })
		s := natstest.StartConfig(t, bin, open, environment(t.TempDir())...)
		refusals := 0
		for _, row := range may {
			refusals += len(roles) - len(strings.Fields(row.allowed))
		}
		if got := len(asDeclared(t, s.URL)); got != refusals {
			t.Errorf("with no permissions in the file %d rows of the table are wrong, want all %d refusals", got, refusals)
		}
	})
}

// TestRolesWork: what a role needs it can do, with the calls that trialwatch's commands make, and nothing beside it.
func TestRolesWork(t *testing.T) {
	s := natstest.StartConfig(t, natstest.Build(t), shipped, environment(t.TempDir())...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	as := map[string]jetstream.JetStream{}
	for _, r := range roles {
		js, err := jetstream.New(connect(t, s.URL, r), jetstream.WithDefaultTimeout(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		as[r] = js
	}
	if err := wire.EnsureStreams(ctx, as["trialwatch"], wire.DefaultSizes(), 1); err != nil {
		t.Fatalf("the streams do not fit the server's limits: %v", err)
	}
	put := func(role string, subjects ...string) error {
		var msgs []*nats.Msg
		for _, subject := range subjects {
			msgs = append(msgs, &nats.Msg{Subject: subject, Data: []byte("{}")})
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return consumers.PublishAll(ctx, as[role], msgs)
	}
	if err := errors.Join(
		put("ehr", "fhir.main.Observation", "fhir.main.Condition"), put("operator", "fhir.main.Observation"), put("trialwatch", "facts.main.x"),
		put("trialwatch", "deadletters.main.x"), put("trialwatch", "alerts.til-il2.main.x", "standings.main.x", "checkpoints.main"), put("trialwatch", "aggregates.til-il2.feed"), put("trialwatch", "pooled.til-il2.feed"), put("trialwatch", "pooling.til-il2"),
	); err != nil {
		t.Fatal(err)
	}

	for _, row := range []struct{ stream, filter, allowed string }{
		{wire.StreamFHIR, "fhir.>", "trialwatch operator"},
		{wire.StreamFacts, "facts.>", "trialwatch operator"},
		{wire.StreamDeadLetters, "deadletters.>", "trialwatch operator"},
		{wire.StreamOut, "alerts.>", "trialwatch operator coordinator"},
		{wire.StreamOut, "standings.>", "trialwatch operator"},
		{wire.StreamOut, ">", "trialwatch operator"},
		{wire.StreamAggregates, "aggregates.>", "trialwatch operator coordinator dashboard"},
		{wire.StreamPooled, "pooled.>", "trialwatch operator masked"},
		{wire.StreamPooling, "pooling.>", "trialwatch operator"},
	} {
		for _, role := range roles {
			// The client waits for an answer that a refused request never gets.
			ctx, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
			n := 0
			err := consumers.ReadAll(ctx, as[role], row.stream, row.filter, func(jetstream.Msg) error { n++; return nil })
			cancel()
			if want := slices.Contains(strings.Fields(row.allowed), role); (err == nil && n > 0) != want {
				t.Errorf("%s reads %s of %s: %d messages, error %v", role, row.filter, row.stream, n, err)
			}
		}
	}

	// The stream and the filter that the permission sees are those that count.
	for _, row := range []struct{ role, subject, body string }{
		{"coordinator", "$JS.API.CONSUMER.CREATE.OUT.x.alerts.>", `{"stream_name":"OUT","config":{"name":"x","ack_policy":"none","filter_subject":"standings.>"}}`},
		{"masked", "$JS.API.CONSUMER.CREATE.POOLED.x.pooled.>", `{"stream_name":"AGGREGATES","config":{"name":"x","ack_policy":"none","filter_subject":"aggregates.>"}}`},
		{"masked", "$JS.API.CONSUMER.CREATE.POOLED.x.pooled.>", `{"stream_name":"POOLING","config":{"name":"x","ack_policy":"none","filter_subject":"pooling.>"}}`},
		{"masked", "$JS.API.CONSUMER.CREATE.POOLED.x", `{"stream_name":"AGGREGATES","config":{"name":"x","ack_policy":"none"}}`},
	} {
		reply, err := as[row.role].Conn().Request(row.subject, []byte(row.body), 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(reply.Data), `"error"`) {
			t.Errorf("%s asks on %s with %s: %s", row.role, row.subject, row.body, reply.Data)
		}
	}
}
