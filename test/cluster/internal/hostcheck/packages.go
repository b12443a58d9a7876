package hostcheck

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// packages are the programs that a cluster takes from the machine, and the Debian packages that have them.
var packages = []struct{ program, name string }{
	{"runc", "runc"}, // not built like the rest: it needs libseccomp, and so a C compiler
	{"nft", "nftables"},
}

func missingPackages() []string {
	var names []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.program); err != nil {
			names = append(names, p.name)
		}
	}
	return names
}

// InstallPackages installs what is missing, and says so.
func InstallPackages(progress io.Writer) error {
	names := missingPackages()
	if len(names) == 0 {
		return nil
	}
	fmt.Fprintf(progress, "installing the Debian packages %s\n", strings.Join(names, ", "))
	install := append([]string{"install", "--yes", "--no-install-recommends"}, names...)
	if aptGet(install...) == nil {
		return nil
	}
	fmt.Fprintln(progress, "updating the list of packages first")
	if err := aptGet("update"); err != nil {
		return err
	}
	return aptGet(install...)
}

func aptGet(args ...string) error {
	cmd := exec.Command("apt-get", args...) // without a context: an interrupted one leaves packages half installed
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
