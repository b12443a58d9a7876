package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/headgate/headgate/controllers/calls"
)

func TestPrometheusServersOfThePlatform(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want calls.ServersConfig
		err  string
	}{
		"none": {},
		"one by its name": {
			args: []string{"--prometheus=metrics=https://prometheus.monitoring:9090/prom?tenant=a"},
			want: calls.ServersConfig{Named: []calls.Server{
				{Name: "metrics", Address: "https://prometheus.monitoring:9090/prom?tenant=a", Label: "namespace"},
			}},
		},
		"several, with all settings": {
			args: []string{"--prometheus=a=https://a,label=exported_namespace,token-file=/etc/a/token,ca-file=/etc/a/ca.crt", "--prometheus", "b-2=http://b,label=_tenant"},
			want: calls.ServersConfig{Named: []calls.Server{
				{Name: "a", Address: "https://a", Label: "exported_namespace", TokenFile: "/etc/a/token", CAFile: "/etc/a/ca.crt"},
				{Name: "b-2", Address: "http://b", Label: "_tenant"},
			}},
		},
		"addresses":               {args: []string{"--prometheus-addresses"}, want: calls.ServersConfig{Addresses: true}},
		"no name":                 {args: []string{"--prometheus=https://prometheus:9090"}, err: "write name=url"},
		"no name, and a query":    {args: []string{"--prometheus=https://prometheus:9090/?a=b"}, err: "write name=url"},
		"a name that is no label": {args: []string{"--prometheus=My_Server=https://a"}, err: "lower-case letters, digits and hyphens"},
		"a name that is too long": {args: []string{"--prometheus=" + strings.Repeat("a", 64) + "=https://a"}, err: "at most 63"},
		"an empty name":           {args: []string{"--prometheus==https://a"}, err: "is no name of a server"},
		"a name twice":            {args: []string{"--prometheus=a=https://a", "--prometheus=a=https://b"}, err: "two servers named a"},
		"no URL":                  {args: []string{"--prometheus=a=prometheus:9090"}, err: "server a: the address is no URL that starts with http://"},
		"no host":                 {args: []string{"--prometheus=a=https://"}, err: "server a: the address is no URL"},
		"another scheme":          {args: []string{"--prometheus=a=file:///etc/passwd"}, err: "server a: the address is no URL"},
		"a password":              {args: []string{"--prometheus=a=https://me:s3cret@a"}, err: "name that by token-file"},
		"a token in the clear":    {args: []string{"--prometheus=a=http://a,token-file=/t"}, err: "token-file needs an https:// address"},
		"a CA without TLS":        {args: []string{"--prometheus=a=http://a,ca-file=/c"}, err: "ca-file needs an https:// address"},
		"an unknown setting":      {args: []string{"--prometheus=a=https://a,user=me"}, err: `server a: "user=me" is no setting: set label, token-file or ca-file`},
		"a setting without value": {args: []string{"--prometheus=a=https://a,label"}, err: "server a: label has no value"},
		"a setting twice":         {args: []string{"--prometheus=a=https://a,label=b,label=c"}, err: "server a: label is set twice"},
		"a label that is none":    {args: []string{"--prometheus=a=https://a,label=a-b"}, err: `label "a-b" is no name of a label`},
		"the label of the name":   {args: []string{"--prometheus=a=https://a,label=__name__"}, err: "is no name of a label"},
		"a comma at the end":      {args: []string{"--prometheus=a=https://a,"}, err: "is no setting"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseOptions(c.args, &bytes.Buffer{})
			switch {
			case c.err == "" && (err != nil || !reflect.DeepEqual(got.prometheus.ServersConfig, c.want)):
				t.Errorf("%+v, %v, want %+v", got.prometheus, err, c.want)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "--prometheus: ")):
				t.Errorf("error %v, want one about %q that names the flag", err, c.err)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}
