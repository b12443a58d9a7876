package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var question = Question{
	Type: TypeStepLeaving, ID: ID("uid", "5362ffc649", 2), Namespace: "shop", Name: "greeter", Stable: "0d1e2f3a4b",
	Revision: "5362ffc649", Step: 2, Steps: 4, WeightPercent: WeightPercent(100_000),
}

// anywhere is a client that may ask servers of tests, which listen on loopback.
func anywhere() Client {
	return Client{Clock: testclock.NewFakePassiveClock(noon), Dial: (&net.Dialer{}).DialContext}
}

func ask(t *testing.T, handler http.HandlerFunc, change func(*Target)) Answer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	target := Target{URL: server.URL + "/gates/greeter?team=shop", Timeout: 5 * time.Second}
	if change != nil {
		change(&target)
	}
	return anywhere().Ask(t.Context(), target, question)
}

func TestOnlyStatus200Agrees(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   Answer
	}{
		"200":                         {200, "", Answer{Answered: true, Agrees: true}},
		"200 with words":              {200, "all green\n", Answer{Answered: true, Agrees: true, Words: "all green"}},
		"202, for which nobody waits": {202, "later", Answer{Answered: true, Words: "202 Accepted: later"}},
		"204":                         {204, "", Answer{Answered: true, Words: "204 No Content"}},
		"403 with a message in JSON":  {403, `{"message": "frozen until Monday", "code": 7}`, Answer{Answered: true, Words: "403 Forbidden: frozen until Monday"}},
		"500 with a page":             {500, "<h1>\n  Oops\t</h1>\x00\xff", Answer{Answered: true, Words: "500 Internal Server Error: <h1> Oops </h1> ?"}},
		"a status without a name":     {599, "", Answer{Answered: true, Words: "599"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}, nil)
			if got != test.want {
				t.Errorf("%+v, not %+v", got, test.want)
			}
		})
	}
}

func TestTheQuestionIsInTheBodyAndSigned(t *testing.T) {
	key := []byte("a secret of more than 24 bytes")
	var body []byte
	var header http.Header
	var path string
	got := ask(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header, path = r.Header, r.Method+" "+r.URL.RequestURI()
	}, func(target *Target) { target.Key = key })
	if !got.Agrees || path != "POST /gates/greeter?team=shop" || header.Get("Content-Type") != "application/json" {
		t.Fatalf("%+v, %s, %v", got, path, header)
	}
	want := `{"type":"rollout.step.leaving","id":"` + question.ID + `","namespace":"shop","name":"greeter","stable":"0d1e2f3a4b",` +
		`"revision":"5362ffc649","step":2,"steps":4,"weightPercent":10}`
	if string(body) != want {
		t.Errorf("body\n%s, not\n%s", body, want)
	}
	if header.Get(HeaderID) != question.ID || header.Get(HeaderTimestamp) != "1772366400" {
		t.Errorf("headers: %v", header)
	}
	if got := header.Get(HeaderSignature); got != Sign(key, question.ID, noon, body) {
		t.Errorf("signature %s", got)
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	var header http.Header
	ask(t, func(_ http.ResponseWriter, r *http.Request) { header = r.Header }, nil)
	if _, signed := header[http.CanonicalHeaderKey(HeaderSignature)]; signed {
		t.Errorf("headers: %v", header)
	}
}

func TestAnAnswerThatDoesNotComeIsNone(t *testing.T) {
	waits := make(chan struct{})
	got := ask(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-waits:
		case <-r.Context().Done():
		}
	}, func(target *Target) { target.Timeout = 50 * time.Millisecond })
	close(waits)
	if got != (Answer{Words: "no answer within 50ms"}) {
		t.Errorf("%+v", got)
	}
}

func TestAnEndlessAnswerIsReadToABound(t *testing.T) {
	got := ask(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("é", 1000)); err != nil {
				return
			}
		}
	}, nil)
	if got.Agrees || len(got.Words) > mostWords+len("403 Forbidden: ") || !strings.HasSuffix(got.Words, "é…") {
		t.Errorf("%d bytes: %s", len(got.Words), got.Words)
	}
}

// A redirect that makes a GET of the question must not let a login page agree to it.
func TestRedirectsAreFollowedOnlyWithTheSameQuestionToTheSameHost(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	t.Cleanup(elsewhere.Close)
	for name, test := range map[string]struct {
		status int
		to     string
		agrees bool
	}{
		"307 on the same host": {http.StatusTemporaryRedirect, "/here", true},
		"308 on the same host": {http.StatusPermanentRedirect, "/here", true},
		"302 on the same host": {http.StatusFound, "/here", false},
		"307 to another host":  {http.StatusTemporaryRedirect, elsewhere.URL, false},
		"307 without end":      {http.StatusTemporaryRedirect, "/gates/greeter", false},
		"307 to nowhere":       {http.StatusTemporaryRedirect, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/here" {
					if body, _ := io.ReadAll(r.Body); r.Method != http.MethodPost || len(body) == 0 || r.Header.Get(HeaderID) == "" {
						t.Errorf("%s with %d bytes: %v", r.Method, len(body), r.Header)
					}
					return
				}
				if test.to != "" {
					w.Header().Set("Location", test.to)
				}
				w.WriteHeader(test.status)
			}, nil)
			if got.Agrees != test.agrees || !got.Agrees && got.Words == "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, test := range map[string]struct {
		bundle []byte
		want   string
	}{
		"by the bundle":                  {own, ""},
		"by the system without a bundle": {nil, "certificate"},
		"a bundle that is none":          {[]byte("PEM"), "caBundle holds no certificate in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			got := anywhere().Ask(t.Context(), Target{URL: server.URL, Timeout: 5 * time.Second, CABundle: test.bundle}, question)
			if got.Agrees != (test.want == "") || !strings.Contains(got.Words, test.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatIsLocalIsNotAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	t.Cleanup(server.Close)
	client := Client{Clock: testclock.NewFakePassiveClock(noon)}
	got := client.Ask(t.Context(), Target{URL: server.URL, Timeout: 5 * time.Second}, question)
	if got.Agrees || !strings.Contains(got.Words, "127.0.0.1 is a loopback, link-local or multicast address") {
		t.Errorf("%+v", got)
	}
}

// An address may hold a password: it is in no words.
func TestWordsDoNotShowTheAddress(t *testing.T) {
	got := anywhere().Ask(t.Context(), Target{URL: "http://user:hunter2@127.0.0.1:1/?token=hunter2", Timeout: 5 * time.Second}, question)
	if got.Agrees || strings.Contains(got.Words, "hunter2") || !strings.Contains(got.Words, "refused") {
		t.Errorf("%+v", got)
	}
}

func TestBrokenOffByTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := anywhere().Ask(ctx, Target{URL: "http://127.0.0.1:1", Timeout: time.Second}, question); got.Agrees || got.Words == "" {
		t.Errorf("%+v", got)
	}
}

// The example of the specification of Standard Webhooks, version 1.0.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	key, err := Key([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestKeyIsBase64OrBytes(t *testing.T) {
	long := strings.Repeat("k", shortestKey)
	for text, want := range map[string]string{
		long: long, "whsec_" + base64.StdEncoding.EncodeToString([]byte(long)): long,
		"short": "", "": "", "whsec_": "", "whsec_%": "",
	} {
		got, err := Key([]byte(text))
		if (err != nil) != (want == "") || err == nil && string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestIDNamesAStepOfARevision(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{ID("a", "v1", 1), ID("a", "v1", 2), ID("a", "v2", 1), ID("b", "v1", 1), ID("a", "2.4.0", 1)} {
		if seen[id] || strings.Contains(id, ".") || len(id) != len("step_")+32 {
			t.Errorf("%s", id)
		}
		seen[id] = true
	}
	if got, want := ID("a", "v1", 1), "step_3eac3fee"; !strings.HasPrefix(got, want) {
		t.Errorf("%s: it was %s… before, and receivers remember that", got, want)
	}
}

func TestWeightIsExact(t *testing.T) {
	for parts, want := range map[int32]json.Number{1: "0.0001", 5_000: "0.5", 100_000: "10", 333_333: "33.3333", 1_000_000: "100"} {
		if got := WeightPercent(parts); got != want {
			t.Errorf("%d: %s, not %s", parts, got, want)
		}
	}
}
