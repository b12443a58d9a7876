package pieces

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// key is the address of a piece in the cache: a hash of all that decides its content.
// toolchain is Go's version, operating system and architecture.
func (p Piece) key(source, toolchain string) (string, error) {
	sum := sha256.New()
	field(sum, p.Name)
	field(sum, toolchain)
	for _, part := range p.recipe {
		field(sum, part)
	}
	entries, err := os.ReadDir(source) // in the order of their names
	if err != nil {
		return "", fmt.Errorf("sources of %s: %w", p.Name, err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", fmt.Errorf("sources of %s: %w", p.Name, err)
		}
		field(sum, entry.Name())
		field(sum, string(content))
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// field adds a value with its length, so that no two lists of values run together to the same bytes.
func field(sum hash.Hash, value string) {
	fmt.Fprintf(sum, "%d:%s", len(value), value)
}
