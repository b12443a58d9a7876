package signals

import (
	"strconv"
	"strings"
)

// codeNames are the gRPC status codes by their numbers (https://grpc.io/docs/guides/status-codes/).
var codeNames = [...]string{
	"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
	"FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
}

// codeCanceled is what a server says of a call that its caller gave up.
const codeCanceled = 1

// Codes are the gRPC status codes that count as failures of the service, by number. Nil are those that are its fault: what HTTP
// would answer with 5xx, and ResourceExhausted. The others are the caller's own doing.
type Codes map[int]bool

// CodesOf are those of the names, as in "DeadlineExceeded". None: nil.
func CodesOf[T ~string](names []T) Codes {
	var out Codes
	for _, name := range names {
		if code, ok := codeOf(string(name)); ok {
			if out == nil {
				out = Codes{}
			}
			out[code] = true
		}
	}
	return out
}

// failed says whether a code counts as a failure.
func (c Codes) failed(code int) bool {
	if c == nil {
		return failedCode(code)
	}
	return c[code]
}

// codeOf reads a code as libraries write it: a number, or a name as in Go, in the specification, or with the British l.
func codeOf(text string) (int, bool) {
	if number, err := strconv.Atoi(text); err == nil {
		return number, number >= 0 && number < len(codeNames)
	}
	name := strings.ToLower(strings.ReplaceAll(text, "_", ""))
	if name == "cancelled" {
		name = "canceled"
	}
	for code, known := range codeNames {
		if name == strings.ToLower(known) {
			return code, true
		}
	}
	return 0, false
}
