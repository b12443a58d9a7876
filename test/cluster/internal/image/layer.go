package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// File is one file of an image.
type File struct {
	// From is the file on this machine. A link is stored as a link.
	From string
	// To is its absolute path in the image.
	To string
}

// Folder returns all files below a folder, with the folder as the image's root.
func Folder(root string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		to, err := filepath.Rel(root, from)
		files = append(files, File{From: from, To: "/" + filepath.ToSlash(to)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("files of %s: %w", root, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("folder %s has no files", root)
	}
	return files, nil
}

// writeLayer writes the files, sorted by their paths in the image, with the folders that they need and /tmp.
// Everything belongs to root and has no time, so that the same files make the same layer.
func writeLayer(to io.Writer, files []File) error {
	archive := tar.NewWriter(to)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}); err != nil {
		return err
	}
	folders := map[string]bool{"/tmp": true, "/": true}
	for _, file := range files {
		if err := writeFolders(archive, path.Dir(file.To), folders); err != nil {
			return err
		}
		if err := writeFile(archive, file); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeFolders writes a folder and those above it, unless they are written already.
func writeFolders(archive *tar.Writer, folder string, written map[string]bool) error {
	if written[folder] {
		return nil
	}
	if err := writeFolders(archive, path.Dir(folder), written); err != nil {
		return err
	}
	written[folder] = true
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: inArchive(folder) + "/", Mode: 0o755})
}

func writeFile(archive *tar.Writer, file File) error {
	info, err := os.Lstat(file.From)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: inArchive(file.To), Mode: int64(info.Mode().Perm())}
	switch {
	case info.Mode().IsRegular():
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
	case info.Mode().Type() == fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = os.Readlink(file.From); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is neither a file nor a link", file.From)
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeSymlink {
		return nil
	}
	content, err := os.Open(file.From)
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.Copy(archive, content); err != nil {
		return fmt.Errorf("%s: %w", file.From, err)
	}
	return nil
}

func inArchive(absolute string) string { return strings.TrimPrefix(path.Clean(absolute), "/") }
