package nats_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
)

// TestTLS uncomments the tls block of the shipped file, and connects as deployments/README.md says: with a private authority in SSL_CERT_FILE.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	conf := edited(t, func(s string) string {
		s = regexp.MustCompile(`(?m)^# (tls \{|    cert_file|    key_file|    timeout|\}$)`).ReplaceAllString(s, "$1")
		return strings.NewReplacer("/etc/nats/server.crt", cert, "/etc/nats/server.key", key).Replace(s)
	})
	s := natstest.StartConfig(t, natstest.Build(t), conf, environment(t.TempDir())...)
	address := s.URL[strings.Index(s.URL, "://")+3:]
	nc, err := nats.Connect("tls://"+address, nats.RootCAs(cert), nats.UserInfo("trialwatch", password("trialwatch")))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := wire.EnsureStreams(ctx, js, wire.DefaultSizes(), 1); err != nil {
		t.Fatal(err)
	}

	bin := filepath.Join(t.TempDir(), "trialwatch")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/trialwatch/trialwatch/cmd/trialwatch").CombinedOutput(); err != nil {
		t.Fatalf("build trialwatch: %v\n%s", err, out)
	}
	list := func(scheme string, env ...string) (string, error) {
		cmd := exec.CommandContext(ctx, bin, "deadletters", "list", "--nats", scheme+address)
		cmd.Env = append(append(os.Environ(), app.UserEnv+"=operator", app.PasswordEnv+"="+password("operator")), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// The server asks for TLS whatever the URL says.
	for _, scheme := range []string{"tls://", "nats://"} {
		if out, err := list(scheme, "SSL_CERT_FILE="+cert); err != nil || out != "no dead letters\n" {
			t.Errorf("%s with the authority: %v: %s", scheme, err, out)
		}
		if out, err := list(scheme); err == nil || !strings.Contains(out, "certificate") {
			t.Errorf("%s: a certificate that nobody has signed is taken: %v: %s", scheme, err, out)
		}
	}
	// Nothing is readable on the way in: without TLS the server talks no further than its greeting.
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Write([]byte("CONNECT {\"user\":\"operator\",\"pass\":\"" + password("operator") + "\"}\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	_, _ = said.ReadFrom(plain) // until the server hangs up
	if strings.Contains(said.String(), "PONG") {
		t.Errorf("the server talks without TLS: %s", &said)
	}
}

// certificate makes one for loopback that is its own authority.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
