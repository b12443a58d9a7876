package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/headgate/headgate/test/grpcapp/internal/await"
)

// post sends a control request to the handler and returns the status and the body.
func post(s *Server, path, contentType, body string) (int, string) {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(response, request)
	return response.Code, response.Body.String()
}

func TestControlTakesQueryFormAndJSON(t *testing.T) {
	const form, object = "application/x-www-form-urlencoded", "application/json"
	for name, test := range map[string]struct{ path, contentType, body string }{
		"query":               {"/control/errors?share=0.25&code=RESOURCE_EXHAUSTED&message=full&placement=after-headers", "", ""},
		"form":                {"/control/errors", form, "share=0.25&code=ResourceExhausted&message=full&placement=after-headers"},
		"JSON":                {"/control/errors", object, `{"share": 0.25, "code": 8, "message": "full", "placement": "after-headers"}`},
		"JSON as curl -d":     {"/control/errors", form, `{"share": "0.25", "code": "resource_exhausted", "message": "full", "placement": "after-headers"}`},
		"query and JSON both": {"/control/errors?share=0.25&code=8", object, `{"message": "full", "placement": "after-headers"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{Pod: "a", Version: "1"})
			status, body := post(s, test.path, test.contentType, test.body)
			want := `{"pod":"a","version":"1","ready":true,"errors":` +
				`{"share":0.25,"code":"ResourceExhausted","message":"full","placement":"after-headers"}}`
			if status != http.StatusOK || compact(t, body) != want {
				t.Errorf("answer is %d %s, want 200 %s", status, body, want)
			}
		})
	}
}

func TestControlSetsAndResets(t *testing.T) {
	s := New(Config{Pod: "a", Version: "1"})
	for _, step := range []struct{ path, want string }{
		{"not-ready", `{"pod":"a","version":"1","ready":false}`},
		{"ready", `{"pod":"a","version":"1","ready":true}`},
		{"freeze", `{"pod":"a","version":"1","ready":true,"frozen":"grpc"}`},
		{"thaw", `{"pod":"a","version":"1","ready":true}`},
		{"latency?distribution=constant&value=5ms", `{"pod":"a","version":"1","ready":true,"latency":"constant value=5ms"}`},
		{"latency?distribution=none", `{"pod":"a","version":"1","ready":true}`},
		{"latency?distribution=uniform&min=1ms&max=2ms", `{"pod":"a","version":"1","ready":true,"latency":"uniform min=1ms max=2ms"}`},
		{"latency?distribution=normal&mean=1s&stddev=2ms&seed=3", `{"pod":"a","version":"1","ready":true,"latency":"normal mean=1s stddev=2ms"}`},
		{"latency?distribution=lognormal&mean=1s&stddev=2ms", `{"pod":"a","version":"1","ready":true,"latency":"lognormal mean=1s stddev=2ms"}`},
		{"capacity?limit=2&queue=3&code=RESOURCE_EXHAUSTED", `{"pod":"a","version":"1","ready":true,` +
			`"latency":"lognormal mean=1s stddev=2ms","capacity":{"limit":2,"queue":3,"code":"ResourceExhausted"}}`},
		{"capacity?limit=0", `{"pod":"a","version":"1","ready":true,"latency":"lognormal mean=1s stddev=2ms"}`},
		{"freeze?scope=all", `{"pod":"a","version":"1","ready":true,"latency":"lognormal mean=1s stddev=2ms"}`},
		{"errors?share=1", `{"pod":"a","version":"1","ready":true,"frozen":"all","errors":{"share":1,"code":"Unavailable",` +
			`"message":"injected by the control endpoint of a","placement":"trailers-only"},"latency":"lognormal mean=1s stddev=2ms"}`},
		{"reset", `{"pod":"a","version":"1","ready":true}`},
	} {
		status, body := post(s, "/control/"+step.path, "", "")
		if status != http.StatusOK || compact(t, body) != step.want {
			t.Errorf("%s: answer is %d %s, want 200 %s", step.path, status, body, step.want)
		}
	}
}

func TestMistakesGetASentenceAndChangeNothing(t *testing.T) {
	exited := func(int) { t.Error("the process exited") }
	s := New(Config{Pod: "a", Version: "1", Exit: exited})
	for path, want := range map[string]string{
		"capacity?limit=-1":                                 "parameter limit is -1: give how many calls are worked on at once, or 0 for no limit",
		"capacity?limit=1&queue=-2":                         "parameter queue is -2: give how many calls may wait, or -1 for any number",
		"capacity?limit=1&code=OK":                          "parameter code is OK: give an error code, such as code=UNAVAILABLE",
		"errors":                                            "parameter share is missing: give a number, such as share=0.3",
		"errors?share=1.5":                                  "parameter share is 1.5: give a number from 0 to 1, such as share=0.3",
		"errors?share=NaN":                                  "parameter share is NaN: give a number from 0 to 1, such as share=0.3",
		"errors?share=many":                                 `parameter share is "many": give a number, such as share=0.3`,
		"errors?share=1&code=BAD":                           `parameter code is "BAD": give a gRPC status code, such as code=UNAVAILABLE`,
		"errors?share=1&code=OK":                            "parameter code is OK: give an error code, such as code=UNAVAILABLE",
		"errors?share=1&placement=x":                        `parameter placement is "x": give trailers-only or after-headers`,
		"errors?share=1&seed=-1":                            `parameter seed is "-1": give a whole number above 0, such as seed=42`,
		"errors?share=1&share=0":                            "parameter share is given 2 times: give it once",
		"errors?share=1&chance=1":                           "parameter chance is not known here: this command takes share, code, message, placement, seed",
		"latency":                                           `parameter distribution is "": give constant, uniform, normal, lognormal or none`,
		"latency?distribution=normal":                       "parameter mean is missing: give a duration, such as mean=100ms\nparameter stddev is missing: give a duration, such as stddev=100ms",
		"latency?distribution=constant&value=5":             `parameter value is "5": give a duration with its unit, such as value=100ms`,
		"latency?distribution=constant&value=-5s":           "parameter value is -5s: give a duration of at least 0, such as value=100ms",
		"latency?distribution=uniform&min=2s&max=1s":        "parameter max is 1s, below min (2s): give a duration of at least min",
		"latency?distribution=lognormal&mean=0s&stddev=1ms": "parameter mean is 0s: give a duration above 0, such as mean=100ms",
		"freeze?scope=http":                                 `parameter scope is "http": give grpc or all`,
		"freeze?duration=-1s":                               "parameter duration is -1s: give a duration of at least 0, such as duration=100ms",
		"crash?exit=0":                                      "parameter exit is 0: give an exit code from 1 to 255",
		"crash?exit=x":                                      `parameter exit is "x": give a whole number, such as exit=1`,
		"not-ready?duration=1s":                             "parameter duration is not known here: this command takes none",
	} {
		status, body := post(s, "/control/"+path, "", "")
		if status != http.StatusBadRequest || strings.TrimSpace(body) != want {
			t.Errorf("%s: answer is %d %s, want 400 %s", path, status, body, want)
		}
	}
	if state := s.State(); state != (State{Pod: "a", Version: "1", Ready: true}) {
		t.Errorf("state is %+v, want a normal one", state)
	}
}

func TestUnreadableBodiesAreRefused(t *testing.T) {
	s := New(Config{})
	for contentType, body := range map[string]string{"application/json": "[1]", "text/plain": "share=1"} {
		if status, answer := post(s, "/control/errors", contentType, body); status != http.StatusBadRequest {
			t.Errorf("%s: answer is %d %s, want 400", contentType, status, answer)
		}
	}
}

func TestCrashExitsWithTheCode(t *testing.T) {
	var codes []int
	s := New(Config{Exit: func(code int) { codes = append(codes, code) }})
	post(s, "/control/crash", "", "")
	post(s, "/control/crash?exit=42", "", "")
	if len(codes) != 2 || codes[0] != 1 || codes[1] != 42 {
		t.Errorf("exit codes are %v, want 1 and 42", codes)
	}
}

func TestFreezingAllAnswersFirst(t *testing.T) {
	local, err := StartLocal(Config{StopAtOnce: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = local.Stop() }()
	url := "http://" + local.HTTPAddress + "/control"
	response, err := http.Post(url+"/freeze?scope=all&duration=50ms", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the freeze answered %s, %v", response.Status, err)
	}
	// The duration ends the freeze: this answers, if late.
	after, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = after.Body.Close()
	// Each port thaws by its own timer.
	await.Until(t, "both ports to thaw", func() bool { return local.State().Frozen == "" })
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var state any
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.Replace(strings.TrimSpace(line), `": `, `":`, 1))
	}
	return out.String()
}
