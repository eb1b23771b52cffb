// Calls the service with the client openapi-generator has generated into the package kqueen.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"client/kqueen"
)

func must[T any](value T, _ any, err error) T {
	if err != nil {
		var api *kqueen.GenericOpenAPIError
		if errors.As(err, &api) {
			err = fmt.Errorf("%w: %s", err, api.Body())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func check(holds bool, what any) {
	if !holds {
		fmt.Fprintln(os.Stderr, "unexpected:", what)
		os.Exit(1)
	}
}

func main() {
	configuration := kqueen.NewConfiguration()
	configuration.Servers = kqueen.ServerConfigurations{{URL: os.Getenv("KQUEEN_ORIGIN") + "/api/v1"}}
	client, background := kqueen.NewAPIClient(configuration), context.Background()
	token := must(client.AuthAPI.Auth(background).Credentials(*kqueen.NewCredentials("default", "admin")).Execute())
	ctx := context.WithValue(background, kqueen.ContextAccessToken, token.AccessToken)

	check(must(client.UsersAPI.UserWhoami(ctx).Execute()).Username == "admin", "whoami")
	organization := must(client.OrganizationsAPI.OrganizationCreate(ctx).
		OrganizationCreate(*kqueen.NewOrganizationCreate("Go", "golang")).Execute())
	create := kqueen.NewUserCreate("golang")
	create.SetPassword("correct horse")
	create.SetOrganization("Organization:" + organization.Id)
	user := must(client.UsersAPI.UserCreate(ctx).UserCreate(*create).Execute())
	check(user.Organization.Name == "Go", user)
	provisioner := must(client.ProvisionersAPI.ProvisionerCreate(ctx).
		ProvisionerCreate(*kqueen.NewProvisionerCreate("kqueen.engines.ManualEngine", "p")).Execute())
	wanted := kqueen.NewClusterCreate("golang", "Provisioner:"+provisioner.Id)
	wanted.SetKubeconfig(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "http://127.0.0.1:1"}}},
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": ""}}}, "users": []any{},
	})
	cluster := must(client.ClustersAPI.ClusterCreate(ctx).ClusterCreate(*wanted).Execute())
	page := must(client.ClustersAPI.ClusterList(ctx).Offset(0).Limit(1).Name("GOLANG").Execute())
	check(page.ListedClusterOneOf != nil && page.ListedClusterOneOf.Total == 1, page)
	update := kqueen.NewClusterUpdate()
	update.SetName("renamed")
	check(must(client.ClustersAPI.ClusterUpdate(ctx, cluster.Id).ClusterUpdate(*update).Execute()).Name == "renamed", "rename")
	_, _, err := client.ClustersAPI.ClusterGet(ctx, "00000000-0000-4000-8000-000000000000").Execute()
	var api *kqueen.GenericOpenAPIError
	check(errors.As(err, &api), err)
	body, typed := api.Model().(kqueen.Error)
	check(typed && body.Code == 404 && body.Error == "not_found", api.Model())
	check(must(client.ClustersAPI.ClusterDelete(ctx, cluster.Id).Execute()).State == "deleted", "delete")
	fmt.Println("ok")
}
