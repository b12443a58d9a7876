package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// versionBytes of a SHA-256 are enough for contents not to meet by accident.
const versionBytes = 12

// versionOf is the version of a content. The encoding of protobuf is deterministic within one
// build; replicas of two builds may differ in it, which costs a client that moves between them a
// response that it did not need.
func versionOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:versionBytes])
}

func versionOfAll(versions []string) string {
	var all []byte
	for _, v := range versions {
		all = append(all, v...)
		all = append(all, 0)
	}
	return versionOf(all)
}

// versionOfOwner is the version of all that an owner has.
func versionOfOwner(entries map[key]*Entry) string {
	if len(entries) == 0 {
		return ""
	}
	sorted := slices.SortedFunc(maps.Values(entries), func(a, b *Entry) int {
		if a.typ != b.typ {
			return int(a.typ) - int(b.typ)
		}
		if a.name < b.name {
			return -1
		}
		return 1
	})
	versions := make([]string, 0, 2*len(sorted))
	for _, e := range sorted {
		versions = append(versions, e.typ.String()+" "+e.name, e.version)
	}
	return versionOfAll(versions)
}

// digest is the hash of a set of resources: the sum of the hashes of its members, modulo 2^64 in each
// half. So it follows a change without a look at the rest of the set.
type digest [2]uint64

func digestOf(name, version string) digest {
	sum := sha256.Sum256([]byte(name + "\x00" + version))
	return digest{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

func (d *digest) add(e *Entry) {
	if e != nil {
		d[0] += e.digest[0]
		d[1] += e.digest[1]
	}
}

func (d *digest) subtract(e *Entry) {
	if e != nil {
		d[0] -= e.digest[0]
		d[1] -= e.digest[1]
	}
}

// String is the version of the set.
func (d *digest) String() string { return fmt.Sprintf("%016x%016x", d[0], d[1]) }
