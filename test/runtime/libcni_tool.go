// libcni_tool calls plugins through the library that container runtimes use, exactly as they do.
//
//	NETCONFPATH=dir CNI_PATH=dir CNI_CACHE=dir [CAP_ARGS=json] [CNI_ARGS=a=b;..] libcni_tool add|check|del NETWORK NETNS ID
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: libcni_tool add|check|del NETWORK NETNS CONTAINERID")
		os.Exit(2)
	}
	list, err := libcni.LoadConfList(os.Getenv("NETCONFPATH"), os.Args[2])
	if err != nil {
		die(err)
	}
	capabilities := map[string]interface{}{}
	if text := os.Getenv("CAP_ARGS"); text != "" {
		if err := json.Unmarshal([]byte(text), &capabilities); err != nil {
			die(err)
		}
	}
	var args [][2]string
	for _, pair := range strings.Split(os.Getenv("CNI_ARGS"), ";") {
		if parts := strings.SplitN(pair, "=", 2); len(parts) == 2 {
			args = append(args, [2]string{parts[0], parts[1]})
		}
	}
	cni := libcni.NewCNIConfigWithCacheDir(filepath.SplitList(os.Getenv("CNI_PATH")), os.Getenv("CNI_CACHE"), nil)
	attachment := &libcni.RuntimeConf{ContainerID: os.Args[4], NetNS: os.Args[3], IfName: "eth0", Args: args, CapabilityArgs: capabilities}
	ctx := context.Background()
	switch os.Args[1] {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, attachment)
		if err != nil {
			die(err)
		}
		if err := result.Print(); err != nil {
			die(err)
		}
	case "check":
		err = cni.CheckNetworkList(ctx, list, attachment)
	case "del":
		err = cni.DelNetworkList(ctx, list, attachment)
	default:
		err = fmt.Errorf("unknown operation %s", os.Args[1])
	}
	if err != nil {
		die(err)
	}
}
