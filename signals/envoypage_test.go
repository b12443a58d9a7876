package signals

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "envoy", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parsePage reads a page, and all that it says of clusters.
func parsePage(text []byte, codes Codes) (*page, error) {
	stats, err := readStats(bytes.NewReader(text), time.Time{}, nil)
	if err != nil {
		return nil, err
	}
	clusters, owned := map[string]bool{}, map[string]string{}
	for name := range stats.clusters {
		clusters[name], owned[name] = true, "somebody"
	}
	return stats.of(clusters, owned, codes)
}

func TestPagesOfARealEnvoy(t *testing.T) {
	for name, want := range map[string]struct {
		series int
		uptime float64
	}{
		"endpoints-after.txt": {series: 10, uptime: 1336},
		"clusters-after.txt":  {series: 8, uptime: 80},
		// Without the filter come histograms, gauges and messages as well. The second cluster had just
		// lost its only endpoint and got a new one, and with that its counters had gone.
		"unfiltered.txt": {series: 4, uptime: -1},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := parsePage(testdata(t, name), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.series) != want.series {
				t.Errorf("%d series, want %d: %v", len(page.series), want.series, page.series)
			}
			if want.uptime >= 0 && page.uptime != want.uptime || page.uptime < 0 {
				t.Errorf("uptime %v, want %v", page.uptime, want.uptime)
			}
		})
	}
}

func TestCodesInNames(t *testing.T) {
	for name, want := range map[string]int{
		"envoy_cluster_grpc_SayHello_0":                     0,
		"envoy_cluster_grpc_v1_Health_Check_14":             14,
		"envoy_cluster_grpc_0":                              0,
		"envoy_cluster_grpc_Get_14_2":                       2,
		"envoy_cluster_grpc_Get_16":                         16,
		"envoy_cluster_grpc_Get_17":                         -1,
		"envoy_cluster_grpc_Get_02":                         -1,
		"envoy_cluster_grpc_Get_success":                    -1,
		"envoy_cluster_grpc_Get_14_success":                 -1,
		"envoy_cluster_grpc_Get_request_message_count":      -1,
		"envoy_cluster_upstream_rq_5":                       -1,
		"envoy_cluster_grpc_Get_14_upstream_rq_time_bucket": -1,
	} {
		code, ok := grpcCode(name)
		if !ok {
			code = -1
		}
		if code != want {
			t.Errorf("%s: %d, want %d", name, code, want)
		}
	}
}

func TestPagesThatAreNotStatistics(t *testing.T) {
	const labels = `{envoy_cluster_name="c",envoy_endpoint_address="10.0.0.1:1"} `
	for name, text := range map[string]string{
		"HTML":           "<html><body>nginx</body></html>\n",
		"cut in a line":  "# TYPE a counter\na{b=\"c",
		"twice the same": "envoy_cluster_endpoint_rq_error" + labels + "1\nenvoy_cluster_endpoint_rq_error" + labels + "2\n",
		"negative":       "envoy_cluster_endpoint_rq_error" + labels + "-1\n",
		"not a number":   "envoy_cluster_endpoint_rq_error" + labels + "NaN\n",
		"infinite":       "envoy_cluster_endpoint_rq_error" + labels + "+Inf\n",
	} {
		t.Run(name, func(t *testing.T) {
			if page, err := parsePage([]byte(text), nil); err == nil {
				t.Errorf("read as %+v", page)
			}
		})
	}
}

// FuzzParsePage: whatever a proxy answers, it is read or refused, and what is read can be counted.
func FuzzParsePage(f *testing.F) {
	for _, name := range []string{"endpoints-after.txt", "clusters-after.txt"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte("envoy_server_uptime{} 1 9999999999999\n"))
	f.Add([]byte("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		page, err := parsePage(text, nil)
		if err != nil {
			_ = presentable(err.Error())
			return
		}
		l := newLedger()
		total := 0.0
		for range 2 {
			l.count(page, asOf{}, func(of series, increase float64) {
				if increase < 0 || of.key.cluster == "" {
					t.Errorf("%+v grew by %v", of.key, increase)
				}
				total += increase
			})
		}
		if total != 0 {
			t.Errorf("a page read twice counts %v", total)
		}
	})
}

func TestMessagesFromOutsideAreMadePresentable(t *testing.T) {
	got := presentable("bad token s3cret\r\n\x1b[31mred\xff"+strings.Repeat("x", 1000), "s3cret", "")
	if strings.Contains(got, "s3cret") || strings.ContainsAny(got, "\r\n\x1b") || len(got) > longestMessage+10 {
		t.Errorf("%q", got)
	}
}
