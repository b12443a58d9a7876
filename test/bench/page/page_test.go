package page

import "testing"

func TestATableStandsBetweenItsMarkers(t *testing.T) {
	page := "before\n<!-- bench-x: begin -->\nold\n<!-- bench-x: end -->\nafter\n"
	got, err := Between(page, "bench-x", "new\n")
	if want := "before\n<!-- bench-x: begin -->\nnew\n<!-- bench-x: end -->\nafter\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"no markers", "<!-- bench-y: begin --><!-- bench-y: end -->", "<!-- bench-x: begin -->"} {
		if _, err := Between(text, "bench-x", "new\n"); err == nil {
			t.Errorf("%q has no markers, and nobody says so", text)
		}
	}
}
