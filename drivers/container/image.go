package container

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
)

// imageID is the id that the image's name means now; "" where the engine has none.
func (d *driver) imageID(ctx context.Context, c *Config) (string, error) {
	img, err := d.socket.client.ImageInspect(ctx, c.Image)
	if cerrdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", d.explain(ctx, c, "look at the image of", err)
	}
	return bareID(img.ID), nil
}

func bareID(id string) string { return strings.TrimPrefix(id, "sha256:") }

// pull fetches the image.
func (d *driver) pull(ctx context.Context, c *Config) error {
	fail := func(err error) error {
		if unanswered(err) {
			return d.explain(ctx, c, "pull the image of", err)
		}
		text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
		hint := "is the name right, and the registry within reach?"
		if strings.Contains(text, "unauthorized") || strings.Contains(text, "denied") || strings.Contains(text, "authentication") {
			hint = "is the name right? else set username and password"
		}
		return fmt.Errorf("cannot pull image %s: %s (%s)", c.Image, text, hint)
	}
	var options client.ImagePullOptions
	if c.Username != "" {
		password, err := reveal(d.opening, c.Password)
		if err != nil {
			return fmt.Errorf("cannot pull image %s: %w", c.Image, err)
		}
		user, err := reveal(d.opening, c.Username)
		if err != nil {
			return fmt.Errorf("cannot pull image %s: %w", c.Image, err)
		}
		if options.RegistryAuth, err = authconfig.Encode(registry.AuthConfig{Username: user, Password: password}); err != nil {
			return fmt.Errorf("cannot pull image %s: its username and password can't be sent (are they text?)", c.Image)
		}
	}
	answer, err := d.socket.client.ImagePull(ctx, c.Image, options)
	if err != nil {
		return fail(err)
	}
	defer answer.Close()
	if err := answer.Wait(ctx); err != nil {
		return fail(err)
	}
	return nil
}

// missing is the error for an image that may not be pulled.
func missing(c *Config) error {
	return fmt.Errorf("image %s is not there, and pull = \"never\" (docker pull or docker load it on this host)", c.Image)
}
