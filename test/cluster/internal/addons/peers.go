package addons

import (
	"path/filepath"

	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
)

// Peer is a controller of rollouts that Headgate is compared with.
type Peer struct {
	Name string
	// Pieces are what it is built of, and Manifests the folder of the first one with what installs it.
	Pieces    []pieces.Piece
	Manifests string
	// image is its image, without the files. The files are the programs of all pieces, in the folder root.
	image image.Image
	root  string
}

// Peers are all that there are, each under the name and with the user, the program and the folder of its own image.
func Peers() []Peer {
	return []Peer{
		{
			Name: "flagger", Pieces: []pieces.Piece{pieces.Flagger}, Manifests: "chart", root: "/",
			image: image.Image{Name: "ghcr.io/fluxcd/flagger:" + pieces.FlaggerVersion, Entrypoint: []string{"/flagger"}, User: "65532"},
		},
		{
			Name: "argo-rollouts", Pieces: []pieces.Piece{pieces.ArgoRollouts, pieces.ArgoGatewayPlugin}, Manifests: "manifests", root: "/bin",
			image: image.Image{
				Name: "quay.io/argoproj/argo-rollouts:" + pieces.ArgoRolloutsVersion, Entrypoint: []string{"/bin/rollouts-controller"}, User: "999",
				WorkingDir: "/home/argo-rollouts",
			},
		},
	}
}

// Image is the peer's image. folders are the built pieces.
func (p Peer) Image(folders map[string]string) (image.Image, error) {
	out := p.image
	for _, piece := range p.Pieces {
		programs, err := filepath.Glob(filepath.Join(folders[piece.Name], "*"))
		if err != nil {
			return out, err
		}
		for _, program := range programs {
			if filepath.Base(program) != p.Manifests {
				out.Files = append(out.Files, image.File{From: program, To: filepath.Join(p.root, filepath.Base(program))})
			}
		}
	}
	return out, nil
}
