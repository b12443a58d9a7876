package environment

import (
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// TestFor: each variable that the user may have set, and what becomes of it.
func TestFor(t *testing.T) {
	const gone = "" // the variable is not there at all
	cluster := layout.Cluster{Name: "trial", State: "/state"}
	for name, test := range map[string]struct{ outside, want string }{
		"KUBECONFIG":                        {"/home/me/.kube/config", "/state/kubeconfig-inside"},
		"KUBERC":                            {"/home/me/.kube/kuberc", "off"},
		"KUBECACHEDIR":                      {"/proc", "/state/tmp/tools/kube"},
		"KUBECTL_EXTERNAL_DIFF":             {"false", gone},
		"KUBECTL_KUBERC":                    {"true", gone},
		"KUBERNETES_MASTER":                 {"http://192.0.2.1", gone},
		"KUBERNETES_SERVICE_HOST":           {"192.0.2.1", gone},
		"KUBERNETES_SERVICE_PORT":           {"443", gone},
		"KUBE_FEATURE_WatchList":            {"false", gone},
		"POD_NAMESPACE":                     {"mine", gone},
		"HELM_NAMESPACE":                    {"mine", gone},
		"HELM_KUBECONTEXT":                  {"production", gone},
		"HELM_KUBEAPISERVER":                {"https://192.0.2.1", gone},
		"HELM_KUBETOKEN":                    {"secret", gone},
		"HELM_KUBECAFILE":                   {"/home/me/ca.crt", gone},
		"HELM_KUBEASUSER":                   {"me", gone},
		"HELM_KUBEASGROUPS":                 {"us", gone},
		"HELM_KUBEINSECURE_SKIP_TLS":        {"true", gone},
		"HELM_KUBETLS_SERVER_NAME":          {"mine", gone},
		"HELM_DRIVER":                       {"sql", gone},
		"HELM_DRIVER_SQL_CONNECTION_STRING": {"postgresql://192.0.2.1", gone},
		"HELM_PLUGINS":                      {"/home/me/plugins", gone},
		"HELM_REGISTRY_CONFIG":              {"/proc/x", gone},
		"HELM_REPOSITORY_CACHE":             {"/proc/x", gone},
		"HELM_REPOSITORY_CONFIG":            {"/proc/x", gone},
		"HELM_CACHE_HOME":                   {"/proc/x", "/state/tmp/tools/helm/cache"},
		"HELM_CONFIG_HOME":                  {"/proc/x", "/state/tmp/tools/helm/config"},
		"HELM_DATA_HOME":                    {"/proc/x", "/state/tmp/tools/helm/data"},
		"GRPC_XDS_BOOTSTRAP":                {"/home/me/bootstrap.json", gone},
		"GRPC_XDS_BOOTSTRAP_CONFIG":         {"{}", gone},
		"HTTP_PROXY":                        {"http://192.0.2.1:3128", gone},
		"HTTPS_PROXY":                       {"http://192.0.2.1:3128", gone},
		"ALL_PROXY":                         {"socks5://192.0.2.1", gone},
		"FTP_PROXY":                         {"http://192.0.2.1:3128", gone},
		"GRPC_PROXY":                        {"http://192.0.2.1:3128", gone},
		"NO_PROXY":                          {"192.0.2.0/24", gone},
		"http_proxy":                        {"http://192.0.2.1:3128", gone},
		"https_proxy":                       {"http://192.0.2.1:3128", gone},
		"all_proxy":                         {"socks5://192.0.2.1", gone},
		"ftp_proxy":                         {"http://192.0.2.1:3128", gone},
		"grpc_proxy":                        {"http://192.0.2.1:3128", gone},
		"no_proxy":                          {"192.0.2.0/24", gone},
		"HEADGATE_CLUSTER":                  {"another", "trial"},
		"PATH":                              {"/home/me/my bin:/bin", "/state/tools:/home/me/my bin:/bin"},
		// As outside: these are the user's, and lead to no cluster.
		"HOME":             {"/home/me", "/home/me"},
		"XDG_CACHE_HOME":   {"/home/me/cache", "/home/me/cache"},
		"XDG_CONFIG_HOME":  {"/proc", "/proc"},
		"XDG_DATA_HOME":    {"/proc", "/proc"},
		"KUBE_EDITOR":      {"ed", "ed"},
		"KUBEBUILDER_HOME": {"/home/me", "/home/me"},
		"GREETER_IMAGE":    {"a:1", "a:1"},
		"HELMET":           {"on", "on"},
		"EMPTY":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			// Twice, as a program may pass it on and a shell does not.
			variable := name + "=" + test.outside
			got := values(For(cluster, cluster.KubeconfigInside(), []string{"A=1", variable, variable, "Z=1"}), name)
			if test.want == gone && test.outside != "" {
				if len(got) > 0 {
					t.Errorf("it is there, as %q", got)
				}
				return
			}
			if test.want == test.outside {
				got = slices.Compact(got) // the user's own, and left alone
			}
			if !slices.Equal(got, []string{test.want}) {
				t.Errorf("it is %q, want it once, as %q", got, test.want)
			}
		})
	}
}

func TestForWithoutAnything(t *testing.T) {
	cluster := layout.Cluster{Name: "trial", State: "/state"}
	got := For(cluster, "/a/kubeconfig", nil)
	for name, want := range map[string]string{"PATH": "/state/tools:" + systemPath, "KUBECONFIG": "/a/kubeconfig", "HEADGATE_CLUSTER": "trial"} {
		if have := values(got, name); !slices.Equal(have, []string{want}) {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
}

// values are those that a variable has in an environment.
func values(environment []string, name string) []string {
	var out []string
	for _, variable := range environment {
		if value, is := strings.CutPrefix(variable, name+"="); is {
			out = append(out, value)
		}
	}
	return out
}
