// Package deployments_test tries what we ship for running trialwatch: the static program in an empty root, the unit, the files for containers.
package deployments_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/trialwatch/trialwatch/internal/natstest"
)

// nobody is the user of the container.
const nobody = 65532

// static builds the program as the Dockerfile does.
func static(t *testing.T, to string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, "github.com/trialwatch/trialwatch/cmd/trialwatch")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// feed is a patient with a fever and no neutrophils.
const feed = `{"resourceType":"ResearchSubject","id":"rs-1","identifier":[{"system":"urn:s","value":"S-001"}],"status":"on-study","period":{"start":"2026-01-01"},"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p1"},"assignedArm":"arm-1"}
{"resourceType":"Observation","id":"anc","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-02-19T06:00:00-06:00","valueQuantity":{"value":0.1,"unit":"10*3/uL"}}
{"resourceType":"Observation","id":"temp","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-02-19T14:00:00-06:00","valueQuantity":{"value":39,"unit":"Cel"}}
`

// TestEmptyRoot runs the static program where the container runs it: as nobody, in a root with no libraries, no zone data, no /etc, /proc, /dev or /tmp.
func TestEmptyRoot(t *testing.T) {
	root := t.TempDir()
	static(t, filepath.Join(root, "trialwatch"))
	data := filepath.Join(root, "var", "lib", "trialwatch")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/trialwatch", args...)
		cmd.Path, cmd.Dir, cmd.Env = "/trialwatch", "/", []string{"TRIALWATCH_DATA=/var/lib/trialwatch"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		} else {
			// Without root a namespace of our own, where that is allowed.
			cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		}
		return cmd
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(data, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}

	evaluate := func(cmd *exec.Cmd) []byte {
		t.Helper()
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = strings.NewReader(feed), &stderr
		out, err := cmd.Output()
		if os.IsPermission(err) {
			t.Skipf("this user may not change its root: %v", err)
		}
		if err != nil {
			t.Fatalf("evaluate: %v\n%s", err, &stderr)
		}
		return out
	}
	got := evaluate(inside("evaluate", "-"))
	if !bytes.Contains(got, []byte(`"rule":"tox.febrile-neutropenia"`)) {
		t.Errorf("in an empty root evaluate finds no febrile neutropenia:\n%s", got)
	}
	if want := evaluate(exec.Command(filepath.Join(root, "trialwatch"), "evaluate", "-")); !bytes.Equal(got, want) {
		t.Errorf("evaluate says something else in an empty root:\n%s\nwant\n%s", got, want)
	}

	// serve with its own broker, then the commands against it.
	var said bytes.Buffer
	serve := inside("serve", "--listen", "127.0.0.1:0")
	stderr, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	page := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		address := regexp.MustCompile(`"page":"([^"]+)"`)
		buf := make([]byte, 4096)
		for {
			n, err := stderr.Read(buf)
			said.Write(buf[:n])
			if m := address.FindSubmatch(said.Bytes()); m != nil {
				select {
				case page <- string(m[1]):
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	stop := func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := serve.Wait(); err != nil {
			t.Errorf("serve: %v\n%s", err, &said)
		}
	}
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var url string
	select {
	case url = <-page:
	case <-drained:
		t.Fatal("serve has ended")
	case <-ctx.Done():
		t.Fatal("serve does not say where its page is")
	}
	natstest.Eventually(t, ctx, "ready", func() bool {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	ingest := inside("ingest", "-")
	ingest.Stdin = strings.NewReader(feed)
	if out, err := ingest.CombinedOutput(); err != nil || string(out) != "3 accepted, 0 refused\n" {
		t.Errorf("ingest: %v %s", err, out)
	}
	natstest.Eventually(t, ctx, "an alert", func() bool {
		out, err := inside("alerts", "list", "--all", "--output", "json").Output()
		return err == nil && bytes.Contains(out, []byte(`"rule":"tox.febrile-neutropenia"`))
	})

	// What docs/operations.md says of the data directory: nothing in it is for others to read.
	for _, name := range []string{"site.key", "nats.json", "lock"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
}

// TestUnit asks systemd itself whether it understands the unit, and how exposed the service is.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not checked")
	}
	unit, err := os.ReadFile(filepath.Join("systemd", "trialwatch.service"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(unit string) error {
		// It looks whether the program is there.
		self, err := os.Executable()
		if err != nil {
			return err
		}
		name := filepath.Join(t.TempDir(), "trialwatch.service")
		if err := os.WriteFile(name, []byte(strings.Replace(unit, "/usr/local/bin/trialwatch", self, 1)), 0o600); err != nil {
			return err
		}
		for _, args := range [][]string{{"verify", name}, {"security", "--offline=yes", "--threshold=15", name}} {
			out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
			// It warns of a key that it does not know, and goes on.
			if err != nil || bytes.Contains(out, []byte(name)) {
				return fmt.Errorf("systemd-analyze %s: %w\n%s", args[0], err, out[max(0, len(out)-600):])
			}
		}
		return nil
	}
	if err := check(string(unit)); err != nil {
		t.Error(err)
	}
	for _, line := range []string{"ProtectSystem=strict\n", "DynamicUser=yes\n", "NoNewPrivileges=yes\n"} {
		if !strings.Contains(string(unit), line) {
			t.Errorf("the unit has no %s", line)
		}
	}
	if check(strings.Replace(string(unit), "UMask=", "Umask=", 1)) == nil {
		t.Error("a key that systemd does not know is not seen")
	}
	if check(regexp.MustCompile(`(?m)^(CapabilityBoundingSet|RestrictNamespaces|SystemCallFilter|PrivateUsers)=.*\n`).ReplaceAllString(string(unit), "")) == nil {
		t.Error("a unit that is less hardened is not seen")
	}
}

// TestServiceConfig: the shipped configuration file is one that serve accepts whole.
func TestServiceConfig(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "trialwatch")
	static(t, bin)
	shipped, err := os.ReadFile(filepath.Join("systemd", "trialwatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// No stage and no page: it starts, and a stage that does not exist stops it after the file was read.
	run := func(config string) string {
		name := filepath.Join(t.TempDir(), "trialwatch.yaml")
		if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(bin, "serve", "--config", name, "--data", t.TempDir(), "--stages", "none").CombinedOutput()
		return string(out)
	}
	const read = `unknown stage "none"`
	if got := run(string(shipped)); !strings.Contains(got, read) {
		t.Errorf("serve does not accept the shipped file: %s", got)
	}
	commented := regexp.MustCompile(`(?m)^# (protocols|baseURLs|nats):`).ReplaceAllString(string(shipped), "$1:")
	commented = strings.Replace(commented, "/etc/trialwatch/protocol.yaml", absolute(t, filepath.Join("protocols", "til-il2", "protocol.yaml")), 1)
	if got := run(commented); !strings.Contains(got, read) {
		t.Errorf("serve does not accept the lines that are commented out: %s", got)
	}
	if got := run(string(shipped) + "listn: x\n"); strings.Contains(got, read) {
		t.Error("serve accepts a key that does not exist")
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	abs, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// compose is the part of the compose specification that our file uses: another key is a mistake or a reason to extend this.
type compose struct {
	Name     string `yaml:"name"`
	Services map[string]struct {
		Image string `yaml:"image"`
		Build struct {
			Context    string `yaml:"context"`
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"build"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Volumes     []string          `yaml:"volumes"`
		Ports       []string          `yaml:"ports"`
		Healthcheck struct {
			Test     []string `yaml:"test"`
			Interval string   `yaml:"interval"`
			Timeout  string   `yaml:"timeout"`
			Retries  int      `yaml:"retries"`
		} `yaml:"healthcheck"`
		DependsOn map[string]struct {
			Condition string `yaml:"condition"`
		} `yaml:"depends_on"`
		StopGracePeriod string   `yaml:"stop_grace_period"`
		ReadOnly        bool     `yaml:"read_only"`
		Tmpfs           []string `yaml:"tmpfs"`
		CapDrop         []string `yaml:"cap_drop"`
		SecurityOpt     []string `yaml:"security_opt"`
		Restart         string   `yaml:"restart"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
}

func TestCompose(t *testing.T) {
	data, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	conf, err := os.ReadFile(filepath.Join("nats", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`: \$([A-Z_]+)`).FindAllSubmatch(conf, -1) {
		if c.Services["nats"].Environment[string(m[1])] == "" {
			t.Errorf("the broker's configuration reads $%s, which compose.yaml does not set", m[1])
		}
	}
	for name, s := range c.Services {
		for k, v := range s.Environment {
			if strings.HasSuffix(k, "PASSWORD") && !regexp.MustCompile(`^\$\{[A-Z_]+:\?\}$`).MatchString(v) {
				t.Errorf("%s: %s does not come from the environment, or may be empty", name, k)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, p)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; named {
				continue
			}
			if _, err := os.Stat(from); err != nil {
				t.Errorf("%s: volume %s: %v", name, v, err)
			}
		}
		for d := range s.DependsOn {
			if _, ok := c.Services[d]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, d)
			}
		}
	}
	tw := c.Services["trialwatch"]
	if _, err := os.Stat(filepath.Join(tw.Build.Context, tw.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

// TestDockerfile looks at what the lines promise; nothing here builds an image.
func TestDockerfile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("docker", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	final := string(data[bytes.LastIndex(data, []byte("\nFROM ")):])
	for _, want := range []string{"\nFROM scratch\n", fmt.Sprintf("\nUSER %d:%[1]d\n", nobody), "\nVOLUME /var/lib/trialwatch\n", "\nEXPOSE 8080\n", "\nENTRYPOINT [\"/trialwatch\"]\n"} {
		if !strings.Contains(final, want) {
			t.Errorf("the last stage has no line %q", strings.TrimSpace(want))
		}
	}
	// The Go version of go.mod is the one that the image builds with.
	mod, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod); !bytes.Contains(data, append([]byte("FROM golang:"), m[1]...)) {
		t.Errorf("go.mod says Go %s, the Dockerfile another", m[1])
	}
	// What is embedded must reach the builder.
	ignored, err := os.ReadFile(filepath.Join("..", ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for l := range strings.Lines(string(ignored)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			patterns = append(patterns, strings.TrimPrefix(l, "/"))
		}
	}
	for _, dir := range []string{"cmd", "consumers", "deployments", "fhir", "internal", "rules"} {
		if slices.Contains(patterns, dir) {
			t.Errorf(".dockerignore leaves out %s", dir)
		}
	}
	if _, err := fs.Stat(os.DirFS(".."), "go.sum"); err != nil {
		t.Error(err)
	}
}

// TestDocumentedCommands: what the documents tell a person to type exists.
func TestDocumentedCommands(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "trialwatch")
	static(t, bin)
	commands := 0
	for _, name := range []string{"README.md", filepath.Join("systemd", "trialwatch.service"), filepath.Join("docker", "Dockerfile"), "compose.yaml", filepath.Join("..", "docs", "operations.md")} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Container files write a command as a list.
		text = regexp.MustCompile(`(?m)^(CMD|    command:) \["serve".*\]$`).ReplaceAllFunc(text, func(l []byte) []byte {
			return regexp.MustCompile(`[\[\]",]`).ReplaceAll(bytes.Replace(l, []byte("["), []byte("trialwatch "), 1), nil)
		})
		for _, m := range regexp.MustCompile(`(?m)\btrialwatch ((?:serve|ingest|alerts|aggregates|deadletters|evaluate) .*)$`).FindAllStringSubmatch(string(text), -1) {
			l := m[1]
			var words []string
			for w := range strings.FieldsSeq(strings.Trim(strings.SplitN(l, "`", 2)[0], "` ")) {
				switch {
				case strings.HasPrefix(w, "--"):
					words = append(words, w)
				case len(words) == 0, len(words) == 1 && slices.Contains([]string{"list", "show", "watch"}, w):
					words = append(words, w)
				}
			}
			sub := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.HasPrefix(w, "--") })
			help, err := exec.Command(bin, append(sub, "--help")...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: trialwatch %s: %v", name, l, err)
			}
			for _, w := range words {
				if strings.HasPrefix(w, "--") && !bytes.Contains(help, []byte(w+" ")) {
					t.Errorf("%s: trialwatch %s: no flag %s", name, l, w)
				}
			}
			commands++
		}
	}
	if commands < 12 {
		t.Errorf("only %d commands found: this test sees too little", commands)
	}
}
