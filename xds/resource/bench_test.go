package resource_test

import (
	"fmt"
	"net/netip"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/resource"
)

// BenchmarkService is what a change of one endpoint costs to build and encode, by endpoints of each of two backends.
func BenchmarkService(b *testing.B) {
	for _, count := range []int{3, 30, 300} {
		b.Run(fmt.Sprintf("%d endpoints", count), func(b *testing.B) {
			e := resource.Exposure{
				Service: &v1alpha1.ExposedService{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"},
					Spec: v1alpha1.ExposedServiceSpec{
						Hostnames: []v1alpha1.Hostname{"greeter.example.com"},
						XDS:       &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(9090))},
						Backends:  []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
					},
				},
				Backends: map[string]resource.Backend{"primary": many(0, count), "backup": many(1, count)},
			}
			b.ReportAllocs()
			for b.Loop() {
				resources, problems := resource.Service(e)
				if len(problems) > 0 {
					b.Fatal(problems)
				}
				for _, r := range resources {
					if _, err := r.Marshal(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func many(backend byte, count int) (out resource.Backend) {
	for i := range count {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, backend, byte(i >> 8), byte(i)}), 50051)
		out.Endpoints = append(out.Endpoints, resource.Endpoint{Addresses: []netip.AddrPort{address}, Ready: true, Serving: true})
	}
	return out
}
