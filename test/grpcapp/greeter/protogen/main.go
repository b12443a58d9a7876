// Command protogen generates Go code from a .proto file without protoc: protocompile
// parses it, and protoc-gen-go and protoc-gen-go-grpc, pinned as tools of this module,
// write the code. Run it from the folder of its go.mod.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	dir := flag.String("dir", ".", "folder of the .proto file; the Go files are written there")
	file := flag.String("file", "", "name of the .proto file in that folder")
	flag.Parse()

	if err := generate(context.Background(), *dir, *file); err != nil {
		fmt.Fprintf(os.Stderr, "protogen: generate code from %s: %v\n", *file, err)
		os.Exit(1)
	}
}

func generate(ctx context.Context, dir, file string) error {
	request, err := compile(ctx, dir, file)
	if err != nil {
		return err
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		response, err := runPlugin(ctx, plugin, request)
		if err != nil {
			return fmt.Errorf("run %s: %w", plugin, err)
		}
		for _, output := range response.GetFile() {
			path := filepath.Join(dir, filepath.FromSlash(output.GetName()))
			if err := os.WriteFile(path, []byte(output.GetContent()), 0o644); err != nil {
				return fmt.Errorf("write the output of %s: %w", plugin, err)
			}
		}
	}
	return nil
}

// compile returns the request that protoc would hand to a plugin for the file. It
// names no compiler version, so that the output does not depend on one.
func compile(ctx context.Context, dir, file string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, file)
	if err != nil {
		return nil, err
	}
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      importsFirst(files[0], map[string]bool{}),
	}, nil
}

// importsFirst lists a file after the files it imports, each once: the order in
// which plugins expect them.
func importsFirst(file protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return nil
	}
	seen[file.Path()] = true
	var ordered []*descriptorpb.FileDescriptorProto
	for i := range file.Imports().Len() {
		ordered = append(ordered, importsFirst(file.Imports().Get(i).FileDescriptor, seen)...)
	}
	if result, ok := file.(linker.Result); ok {
		return append(ordered, result.FileDescriptorProto())
	}
	return append(ordered, protoutil.ProtoFromFileDescriptor(file))
}

func runPlugin(ctx context.Context, plugin string, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "tool", plugin)
	command.Stdin = bytes.NewReader(input)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return nil, fmt.Errorf("decode the response: %w", err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s", response.GetError())
	}
	return response, nil
}
