package load

import (
	"slices"
	"testing"
	"time"
)

func TestNumbersHaveThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12000: "12,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestSharesNeverRoundToAllOrNone(t *testing.T) {
	for want, of := range map[string][2]int{
		"0%": {0, 10}, "100%": {10, 10}, "99%": {9999, 10000}, "0.1%": {1, 10000}, "9.9%": {99, 1000}, "50%": {1, 2},
	} {
		if got := share(of[0], of[1]); got != want {
			t.Errorf("%d of %d is %s, want %s", of[0], of[1], got, want)
		}
	}
}

func TestLatenciesHaveThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "-", 1234567: "1.23ms", 999: "999ns", 2*time.Second + 5*time.Millisecond: "2.01s",
	} {
		if got := latency(d); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}

func TestBarsShowTheSmallestPart(t *testing.T) {
	for _, test := range []struct{ counts, want []int }{
		{[]int{0, 0}, []int{0, 0}},
		{[]int{1, 1}, []int{10, 10}},
		{[]int{9999, 1}, []int{19, 1}},
		{[]int{1, 9998, 0, 1}, []int{1, 18, 0, 1}},
		{[]int{2, 1}, []int{14, 6}},
	} {
		if got := apportion(test.counts, 20); !slices.Equal(got, test.want) {
			t.Errorf("%v get %v cells, want %v", test.counts, got, test.want)
		}
	}
}
