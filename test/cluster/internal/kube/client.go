// Package kube is as much of a Kubernetes client as a cluster needs to look after itself: get, patch and watch, with JSON over HTTP.
package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// Client talks to one API server.
type Client struct {
	server string
	http   *http.Client
}

// NewAdmin returns a client with all rights, for the API server at address (host:port).
func NewAdmin(cluster layout.Cluster, address string) (*Client, error) {
	authority, err := os.ReadFile(cluster.PKI("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("the cluster's ca.crt is not a certificate")
	}
	certificate, err := tls.LoadX509KeyPair(cluster.PKI("admin.crt"), cluster.PKI("admin.key"))
	if err != nil {
		return nil, err
	}
	return &Client{
		server: "https://" + address,
		http: &http.Client{Transport: &http.Transport{ // no Proxy: what HTTPS_PROXY names can't reach a cluster in here
			TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 5 * time.Second,
			ForceAttemptHTTP2:   true,
		}},
	}, nil
}

// Get reads an object or a list into out. path begins with /api or /apis. A nil out only asks whether the answer is 200.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a server that is being restarted may take a connection and never answer
	defer cancel()
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

// MergePatch changes an object by a JSON merge patch (RFC 7386), and reads into out what it is then.
func (c *Client) MergePatch(ctx context.Context, path string, patch, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPatch, path, "application/merge-patch+json", body, out)
}

// Watch reads events from path, which carries the query, and gives each to handle until the server ends the stream or handle fails.
func (c *Client) Watch(ctx context.Context, path string, handle func(Event) error) error {
	response, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	events := json.NewDecoder(response.Body)
	for {
		var event Event
		if err := events.Decode(&event); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := handle(event); err != nil {
			return err
		}
	}
}

// Event is one change that a watch tells of.
type Event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK or ERROR
	Object json.RawMessage `json:"object"`
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	response, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// send returns an answer with status 200 or an error.
func (c *Client) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		message, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return nil, &StatusError{Code: response.StatusCode, What: method + " " + path, Message: string(message)}
	}
	return response, nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	Code          int
	What, Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.What, e.Code, http.StatusText(e.Code), e.Message)
}

// IsNotFound reports whether an error says that the object does not exist.
func IsNotFound(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Code == http.StatusNotFound
}
