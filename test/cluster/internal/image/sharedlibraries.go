package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// SharedLibraries returns the dynamic linker and the libraries that a program needs, of this machine, each under its own path.
func SharedLibraries(program string) ([]File, error) {
	file, err := elf.Open(program)
	if err != nil {
		return nil, fmt.Errorf("shared libraries of %s: %w", program, err)
	}
	defer func() { _ = file.Close() }()
	linker, err := interpreter(file)
	if err != nil || linker == "" {
		return nil, err
	}
	files := []File{resolved(linker)}
	waiting, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{filepath.Base(linker): true}
	for len(waiting) > 0 {
		name := waiting[0]
		waiting = waiting[1:]
		if known[name] {
			continue
		}
		known[name] = true
		path, more, err := findLibrary(name, file.Machine)
		if err != nil {
			return nil, fmt.Errorf("shared libraries of %s: %w", program, err)
		}
		files, waiting = append(files, resolved(path)), append(waiting, more...)
	}
	return files, nil
}

// interpreter returns the dynamic linker that a program names, "" for a static program.
func interpreter(file *elf.File) (string, error) {
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			content, err := io.ReadAll(segment.Open())
			return strings.TrimRight(string(content), "\x00"), err
		}
	}
	return "", nil
}

// libraryFolders are where Debian and others keep libraries, as patterns.
var libraryFolders = []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// findLibrary returns the path of a library for the machine type, and the names of those that it needs itself.
func findLibrary(name string, machine elf.Machine) (string, []string, error) {
	for _, pattern := range libraryFolders {
		candidates, err := filepath.Glob(filepath.Join(pattern, name))
		if err != nil {
			return "", nil, err
		}
		for _, path := range candidates {
			library, err := elf.Open(path)
			if err != nil {
				continue
			}
			fits := library.Machine == machine
			needs, err := library.ImportedLibraries()
			_ = library.Close()
			if fits {
				return path, needs, err
			}
		}
	}
	return "", nil, errors.New("there is no " + name + " on this machine")
}

// resolved returns a file that has the given path in the image, and as its content what that path leads to here.
func resolved(path string) File {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return File{From: target, To: path}
	}
	return File{From: path, To: path}
}
