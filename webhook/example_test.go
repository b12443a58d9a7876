package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/webhook"
)

// genuine is how a receiver verifies a request; docs/rollouts.md has it, in Python as well.
func genuine(r *http.Request, body, key []byte) bool {
	at, err := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", r.Header.Get("Webhook-Id"), at, body)
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return err == nil && time.Since(time.Unix(at, 0)).Abs() < 5*time.Minute && hmac.Equal([]byte(signature), []byte(r.Header.Get("Webhook-Signature")))
}

func ExampleSign() {
	key, body := []byte("a secret of more than 24 bytes"), `{"type":"rollout.step.leaving","revision":"5362ffc649","step":2}`
	now := time.Now()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set(webhook.HeaderID, "step_1")
	request.Header.Set(webhook.HeaderTimestamp, fmt.Sprint(now.Unix()))
	request.Header.Set(webhook.HeaderSignature, webhook.Sign(key, "step_1", now, []byte(body)))

	received, err := io.ReadAll(request.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(genuine(request, received, key), genuine(request, []byte("something else"), key))
	// Output: true false
}
