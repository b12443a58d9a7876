package load

import (
	"fmt"
	"strconv"
	"time"
)

// number writes 12000 as 12,000.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// share writes a part of a whole in percent. Only all is 100%, only none is 0%.
func share(part, whole int) string {
	if part == 0 {
		return "0%"
	}
	if part == whole {
		return "100%"
	}
	percent := 100 * float64(part) / float64(whole)
	const decimalsBelow = 10
	if percent < decimalsBelow {
		return fmt.Sprintf("%.1f%%", max(percent, 0.1))
	}
	return fmt.Sprintf("%.0f%%", min(percent, 99))
}

// latency writes a latency with three significant digits, or a dash when there is none.
func latency(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return significant(d).String()
}

// significant rounds to three significant digits.
func significant(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d.Abs()/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// seconds writes an offset from the start of the run with the decimals that a
// resolution needs, at most to the millisecond: 3 or 3.250.
func seconds(offset, resolution time.Duration) string {
	if resolution%time.Second == 0 {
		return strconv.Itoa(int(offset / time.Second))
	}
	return strconv.FormatFloat(offset.Seconds(), 'f', 3, 64)
}
