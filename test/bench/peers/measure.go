package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/headgate/test/scene"
)

// measure lets all tools that are asked for go through all scenarios that are, one tool after the other. What is known is
// written down after each of them.
func measure(ctx context.Context, o options) (results, error) {
	var out results
	tools, err := chosen("contenders", o.contenders, contenders(o), func(c contender) string { return c.name })
	if err != nil {
		return out, err
	}
	stages, err := named(o.scenarios)
	if err != nil {
		return out, err
	}
	cluster, err := scene.Connect()
	if err != nil {
		return out, err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	pods, err := discover(ctx, cluster)
	if err != nil {
		return out, err
	}
	b := &bench{Cluster: cluster, discovery: pods, began: time.Now()}
	out.Machine, out.Runs = machine(), o.runs
	for _, c := range tools {
		if err := b.measureOne(ctx, c, stages, &out); err != nil {
			return out, fmt.Errorf("%s: %w", c.title, err)
		}
		if err := out.write(o.results); err != nil {
			return out, err
		}
	}
	return out, nil
}

// measureOne installs a tool, lets it go through the stages, and takes it away, also when something went wrong.
func (b *bench) measureOne(ctx context.Context, c contender, stages []stage, out *results) (err error) {
	b.say("%s: installing it", c.title)
	defer func() {
		// After an interruption as well, and in bounded time.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*cleanUpTime)
		defer cancel()
		b.say("%s: removing it", c.title)
		err = errors.Join(err, b.removeNamespace(ctx, c.space()), c.tool.remove(ctx, b))
	}()
	if err := b.MakeNamespace(ctx, c.space()); err != nil {
		return err
	}
	if err := c.tool.install(ctx, b, c.space()); err != nil {
		return fmt.Errorf("install it: %w", err)
	}
	version, err := b.version(ctx, c.tool.seat())
	if err != nil {
		return err
	}
	out.Contenders = append(out.Contenders, contenderResult{Name: c.name, Title: c.title, Settings: c.settings, Version: version})
	address, err := b.openGateway(ctx, c.space())
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if err := b.undisturbed(ctx, c, stage, address, out); err != nil {
			return err
		}
	}
	return nil
}
