package pieces

import (
	"fmt"
	"os"
	"path/filepath"
)

// Tools returns a folder with kubectl, helm and envoy in it, for a PATH. folders is what Ensure returned.
// The folder's name never changes; its links are put into place one by one without a moment in which one is missing.
func (c Cache) Tools(folders map[string]string) (string, error) {
	dir := filepath.Join(c.Root, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for tool, piece := range map[string]Piece{"kubectl": Kubernetes, "helm": Helm, "envoy": Envoy} {
		if err := replaceLink(filepath.Join(folders[piece.Name], tool), filepath.Join(dir, tool)); err != nil {
			return "", fmt.Errorf("link %s: %w", tool, err)
		}
	}
	return dir, nil
}

func replaceLink(target, link string) error {
	if current, err := os.Readlink(link); err == nil && current == target {
		return nil
	}
	temp := fmt.Sprintf("%s.%d", link, os.Getpid())
	_ = os.Remove(temp) // of an earlier process with this number, if any
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, link)
}
