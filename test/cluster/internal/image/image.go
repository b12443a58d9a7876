// Package image writes container images, straight from files and without a registry or a daemon.
package image

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Image is an image with one layer.
type Image struct {
	// Name is the full name with a tag, as pods use it.
	Name       string
	Entrypoint []string
	// User is a numeric user id; root if empty.
	User string
	// WorkingDir is where the program starts; the root if empty.
	WorkingDir string
	Files      []File
}

// searchPath is the PATH of programs in an image.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// config is the image's configuration, in the format of Docker and (but for media types) OCI.
type config struct {
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Config       runtimeConfig `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
}

// runtimeConfig has no tags: its keys are capitalised as the fields are.
type runtimeConfig struct {
	User       string
	Env        []string
	Entrypoint []string
	WorkingDir string
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"` //nolint:tagliatelle // so says the format: hashes of the layers, uncompressed
}

// manifest is an entry of manifest.json in what `docker save` writes.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

const layerName = "layer.tar"

// Prepared is an image whose content has been hashed.
type Prepared struct {
	image  Image
	config []byte
	layer  int64 // its size
}

// Prepare reads all files once. They must not change until Write.
func (i Image) Prepare() (*Prepared, error) {
	i.Files = slices.Clone(i.Files)
	slices.SortFunc(i.Files, func(a, b File) int { return strings.Compare(a.To, b.To) })
	sum, size := sha256.New(), counter(0)
	if err := writeLayer(io.MultiWriter(sum, &size), i.Files); err != nil {
		return nil, fmt.Errorf("image %s: %w", i.Name, err)
	}
	encoded, err := json.Marshal(config{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config:       runtimeConfig{User: i.User, Env: []string{"PATH=" + searchPath}, Entrypoint: i.Entrypoint, WorkingDir: cmp.Or(i.WorkingDir, "/")},
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{"sha256:" + hex.EncodeToString(sum.Sum(nil))}},
	})
	if err != nil {
		return nil, err
	}
	return &Prepared{image: i, config: encoded, layer: int64(size)}, nil
}

// ID is the image's id: the hash of its configuration, and so of all its content.
func (p *Prepared) ID() string {
	sum := sha256.Sum256(p.config)
	return hex.EncodeToString(sum[:])
}

// Write writes the image in the format of `docker save`.
func (p *Prepared) Write(to io.Writer) error {
	archive := tar.NewWriter(to)
	configName := p.ID() + ".json"
	index, err := json.Marshal([]manifest{{Config: configName, RepoTags: []string{p.image.Name}, Layers: []string{layerName}}})
	if err != nil {
		return err
	}
	if err := writeBytes(archive, "manifest.json", index); err != nil {
		return err
	}
	if err := writeBytes(archive, configName, p.config); err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: layerName, Mode: 0o644, Size: p.layer}); err != nil {
		return err
	}
	if err := writeLayer(archive, p.image.Files); err != nil {
		return fmt.Errorf("image %s: %w", p.image.Name, err)
	}
	return archive.Close()
}

func writeBytes(archive *tar.Writer, name string, content []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: path.Clean(name), Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
