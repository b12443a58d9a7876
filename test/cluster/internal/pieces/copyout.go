package pieces

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// copyOut is a step that copies a folder of a module's sources into the piece, under a name of its own.
func copyOut(module, folder, name string) func(ctx context.Context, source, out string) error {
	return func(ctx context.Context, source, out string) error {
		root, err := runGo(ctx, source, "list", "-m", "-f", "{{.Dir}}", module)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(out, name), os.DirFS(filepath.Join(root, folder))); err != nil {
			return fmt.Errorf("copy %s of module %s: %w", folder, module, err)
		}
		return nil
	}
}
