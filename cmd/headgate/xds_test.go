package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/controllers/certificates"
	"github.com/headgate/headgate/xds/server"
)

// xdsCertificates are a server's in files.
func xdsCertificates(t *testing.T) server.Files {
	t.Helper()
	authority, err := certificates.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Issue(certificates.Names{DNS: []string{"localhost"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := server.Files{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: filepath.Join(dir, "ca.crt"),
	}
	for file, data := range map[string][]byte{
		files.Certificate: own.Certificate, files.Key: own.Key, files.ClientCAs: authority.Certificate,
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// refusesStrangers is nil when a server speaks TLS and asks for a certificate.
func refusesStrangers(address string) error {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// In TLS 1.3 a client learns with its first read that the server wants a certificate.
	_, err = conn.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		return fmt.Errorf("the server says %w", err)
	}
	return nil
}

func TestXDSFlagsAreChecked(t *testing.T) {
	const complete = "--xds-bind-address=:18000 --xds-certificate=a --xds-key=b --xds-client-ca=c"
	for name, test := range map[string]struct{ args, want string }{
		"off by default":      {"", ""},
		"complete":            {complete, ""},
		"without a client CA": {"--xds-bind-address=:18000 --xds-certificate=a --xds-key=b", "--xds-client-ca"},
		"a negative limit":    {complete + " --xds-max-streams=-1", "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(test.args), os.Stderr)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if err != nil {
				return
			}
			config, err := o.xds.config(false, func(string) string { return "" })
			if err != nil || (config != nil) != (test.args != "") {
				t.Errorf("config %+v, %v", config, err)
			}
			if config != nil && config.Replica == "" {
				t.Error("the replica has no name")
			}
		})
	}
}

// A replica that others cannot find by its name would be taken for gone: it does not start.
func TestReplicasAreKnownByTheirPods(t *testing.T) {
	const complete = "--xds-bind-address=:18000 --xds-certificate=a --xds-key=b --xds-client-ca=c"
	long := strings.Repeat("a", 64)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args           string
		pod, namespace string
		want           string
		err            string
	}{
		"as the chart has it":            {args: "--leader-elect", pod: "headgate-1", namespace: "system", want: "system/headgate-1"},
		"by flags":                       {args: "--leader-elect --replica-name=a --replica-namespace=b", want: "b/a"},
		"a flag before the environment":  {args: "--replica-namespace=b", pod: "headgate-1", namespace: "system", want: "b/headgate-1"},
		"alone, without a pod":           {want: "/" + host},
		"alone, with a name":             {args: "--replica-name=a", want: "/a"},
		"several that find nobody":       {args: "--leader-elect --leader-election-namespace=b", pod: "headgate-1", err: "--replica-namespace"},
		"only a host name":               {args: "--leader-elect", namespace: "system", err: "POD_NAME"},
		"alone, and only a host name":    {namespace: "system", err: "POD_NAME"},
		"a name that is not the pod's":   {args: "--replica-name=a", pod: "headgate-1", namespace: "system", err: "--replica-name"},
		"a pod's name that is too long":  {pod: long, namespace: "system", err: "at most 63"},
		"a flag's name that is too long": {args: "--replica-name=" + long, err: "at most 63"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(complete+" "+test.args), os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			config, err := o.xds.config(o.leaderElect, func(key string) string {
				return map[string]string{envPodName: test.pod, envPodNamespace: test.namespace}[key]
			})
			switch {
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("error %v, want one about %s", err, test.err)
			case test.err == "" && err != nil:
				t.Error(err)
			case test.err == "" && config.Namespace+"/"+config.Replica != test.want:
				t.Errorf("it is %s/%s, want %s", config.Namespace, config.Replica, test.want)
			}
		})
	}
}

func TestCertificatesNeedANamespaceAndNames(t *testing.T) {
	for name, test := range map[string]struct {
		args string
		good bool
	}{
		"complete":          {"--namespace=a --dns-names=x,y", true},
		"without names":     {"--namespace=a", false},
		"without namespace": {"--dns-names=x", false},
		"with an argument":  {"--namespace=a --dns-names=x now", false},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := parseCertificatesOptions(strings.Fields(test.args), os.Stderr)
			if (err == nil) != test.good {
				t.Errorf("%+v, %v", config, err)
			}
			if test.good && len(config.DNSNames) != 2 {
				t.Errorf("names %q", config.DNSNames)
			}
		})
	}
}
