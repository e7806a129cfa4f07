package backplane

import "github.com/hubwire/hubwire/server"

func toAll(except ...string) server.Audience { return server.Audience{Except: except} }

func toConnections(ids ...string) server.Audience {
	return server.Audience{Kind: server.ToConnections, Names: ids}
}

func toGroup(name string, except ...string) server.Audience {
	return server.Audience{Kind: server.ToGroups, Names: []string{name}, Except: except}
}

func toGroups(names ...string) server.Audience {
	return server.Audience{Kind: server.ToGroups, Names: names}
}

func toUsers(ids ...string) server.Audience {
	return server.Audience{Kind: server.ToUsers, Names: ids}
}
