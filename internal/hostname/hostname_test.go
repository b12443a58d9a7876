package hostname

import "testing"

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"shop.example.com", "shop.example.com", true},
		{"shop.example.com", "a.shop.example.com", false},
		{"*.example.com", "shop.example.com", true},
		{"*.example.com", "a.shop.example.com", true},
		{"*.example.com", "*.shop.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "badexample.com", false},
		{"*.shop.example.com", "*.example.com", false},
		{"*", "shop.example.com", true},
		{"*", "", true},
		{"*.example.com", "", false},
	} {
		if got := Covers(c.pattern, c.host); got != c.want {
			t.Errorf("Covers(%q, %q) = %t", c.pattern, c.host, got)
		}
	}
}
