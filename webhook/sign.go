package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed request, as Standard Webhooks names them. The case of headers does not matter; this is how Go sends them.
const (
	// HeaderID holds the ID of the question.
	HeaderID = "Webhook-Id"
	// HeaderTimestamp holds when it was asked, in seconds since 1970.
	HeaderTimestamp = "Webhook-Timestamp"
	// HeaderSignature holds "v1,", and in base64 the HMAC-SHA256 of "<id>.<timestamp>.<body>".
	HeaderSignature = "Webhook-Signature"
)

// keyPrefix begins a key that is written in base64.
const keyPrefix = "whsec_"

// shortestKey is how many bytes a key has at least. Standard Webhooks asks for 24, and so do its libraries.
const shortestKey = 24

// Key reads the key that requests are signed with: "whsec_" and base64, as the libraries of Standard Webhooks have it, or the bytes
// themselves.
func Key(text []byte) ([]byte, error) {
	key := text
	if encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), keyPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("what follows " + keyPrefix + " is not base64")
		}
	}
	if len(key) < shortestKey {
		return nil, fmt.Errorf("it has %d bytes, and a key needs %d", len(key), shortestKey)
	}
	return key, nil
}

// Sign is the value of HeaderSignature.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp(at) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
