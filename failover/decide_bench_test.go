package failover

import (
	"testing"
	"time"
)

func BenchmarkDecide(b *testing.B) {
	settled := func() *scene {
		s := newScene(b, "primary", "backup", "elsewhere")
		s.look()
		return s
	}
	for name, prepare := range map[string]func() (*scene, Observation){
		"settled": func() (*scene, Observation) {
			s := settled()
			s.look()
			return s, s.observe()
		},
		"settled with an error bound": func() (*scene, Observation) {
			s := settled()
			s.maxErrors("5")
			s.run(time.Minute)
			s.now = s.now.Add(time.Second)
			return s, s.observe()
		},
		"a primary dies": func() (*scene, Observation) {
			s := settled()
			s.actors["primary"].ready = 0
			return s, s.observe()
		},
		"on the ramp with a full history": func() (*scene, Observation) {
			s := settled()
			for range 20 {
				s.pin("backup")
				s.pin("primary")
			}
			s.pin("backup")
			s.pin("")
			return s, s.observe()
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, seen := prepare()
			var out Outcome
			b.ReportAllocs()
			for b.Loop() {
				out = Decide(&s.spec, s.status, seen, s.now)
			}
			if out.Traffic.Revision == 0 {
				b.Fatal("nothing was decided")
			}
		})
	}
}
