package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// entry is what a tar has of a file.
type entry struct {
	name    string
	kind    byte
	mode    int64
	content string // or where a link points
}

func entries(t *testing.T, archive io.Reader) []entry {
	t.Helper()
	var all []entry
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() > 0 {
			t.Errorf("%s belongs to %d:%d and is of %s: want root and no time", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{header.Name, header.Typeflag, header.Mode, string(content) + header.Linkname})
	}
}

// folder makes a folder with a program, a file and a link.
func folder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	err := errors.Join(
		os.MkdirAll(filepath.Join(root, "usr", "bin"), 0o755),
		os.WriteFile(filepath.Join(root, "usr", "bin", "app"), []byte("program"), 0o755),
		os.WriteFile(filepath.Join(root, "config"), []byte("settings"), 0o640),
		os.Symlink("usr/bin/app", filepath.Join(root, "run")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func prepare(t *testing.T, root string, i Image) *Prepared {
	t.Helper()
	files, err := Folder(root)
	if err != nil {
		t.Fatal(err)
	}
	i.Files = files
	prepared, err := i.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func TestImageIsWhatDockerSaveWrites(t *testing.T) {
	prepared := prepare(t, folder(t), Image{Name: "example.test/app:1", Entrypoint: []string{"/usr/bin/app"}, User: "65532"})
	var written bytes.Buffer
	if err := prepared.Write(&written); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries(t, &written) {
		files[e.name] = e.content
	}
	var index []manifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &index); err != nil {
		t.Fatal(err)
	}
	if len(index) != 1 || !slices.Equal(index[0].RepoTags, []string{"example.test/app:1"}) || index[0].Config != prepared.ID()+".json" {
		t.Fatalf("manifest.json is %s", files["manifest.json"])
	}
	var c config
	if err := json.Unmarshal([]byte(files[index[0].Config]), &c); err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Config.User != "65532" || !slices.Equal(c.Config.Entrypoint, []string{"/usr/bin/app"}) || len(c.RootFS.DiffIDs) != 1 {
		t.Errorf("the configuration is %s", files[index[0].Config])
	}
	want := []entry{
		{"tmp/", tar.TypeDir, 0o1777, ""},
		{"config", tar.TypeReg, 0o640, "settings"},
		{"run", tar.TypeSymlink, 0o777, "usr/bin/app"},
		{"usr/", tar.TypeDir, 0o755, ""},
		{"usr/bin/", tar.TypeDir, 0o755, ""},
		{"usr/bin/app", tar.TypeReg, 0o755, "program"},
	}
	if got := entries(t, bytes.NewReader([]byte(files[index[0].Layers[0]]))); !slices.Equal(got, want) {
		t.Errorf("the layer is\n%v, want\n%v", got, want)
	}
}

func TestIDIsThatOfTheContent(t *testing.T) {
	root := folder(t)
	original := prepare(t, root, Image{Name: "a:1", User: "1"}).ID()
	if other := prepare(t, folder(t), Image{Name: "b:1", User: "1"}).ID(); other != original {
		t.Error("the same files elsewhere, by another name, have another id")
	}
	if other := prepare(t, root, Image{Name: "a:1", User: "2"}).ID(); other == original {
		t.Error("another user does not change the id")
	}
	if err := os.WriteFile(filepath.Join(root, "config"), []byte("changed"), 0o640); err != nil {
		t.Fatal(err)
	}
	if other := prepare(t, root, Image{Name: "a:1", User: "1"}).ID(); other == original {
		t.Error("another content does not change the id")
	}
}

func TestAnEmptyFolderIsNoImage(t *testing.T) {
	if _, err := Folder(t.TempDir()); err == nil {
		t.Error("want an error")
	}
}
