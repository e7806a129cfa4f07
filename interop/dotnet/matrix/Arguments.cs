namespace Hubwire.Matrix;

/// <summary>
/// The nodes that the scenarios need, all with the hub of the reference node: Plain has default options; Detailed has
/// --detailed true; Impatient has --keepalive-ms 300 --client-timeout-ms 1500 --handshake-timeout-ms 5000.
/// </summary>
public sealed record Nodes(Uri Plain, Uri Detailed, Uri Impatient);

/// <summary>What the command line says.</summary>
public sealed record Arguments(Nodes Nodes, string Only, IReadOnlyList<string> Skip, int Jobs, bool List)
{
    /// <summary>Whether a case, "scenario / transport / protocol", is to be played.</summary>
    public bool Want(string name) => name.Contains(Only, StringComparison.Ordinal) && !Skip.Any(word => name.Contains(word, StringComparison.Ordinal));

    public static Arguments Parse(string[] args)
    {
        var given = new Dictionary<string, string>();
        var skip = new List<string>(); // may be given more than once
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] is "--list") given["--list"] = "";
            else if (args[i] is not ("--plain" or "--detailed" or "--impatient" or "--only" or "--skip" or "--jobs")) throw new ArgumentException($"unknown argument {args[i]}");
            else if (++i == args.Length) throw new ArgumentException($"{args[i - 1]} needs a value");
            else if (args[i - 1] is "--skip") skip.Add(args[i]);
            else given[args[i - 1]] = args[i];
        }
        var list = given.ContainsKey("--list");
        Uri Node(string name) =>
            given.TryGetValue(name, out var url) ? new Uri(url)
            : list ? new Uri("http://127.0.0.1")
            : throw new ArgumentException($"{name} does not say where the node is");
        if (!int.TryParse(given.GetValueOrDefault("--jobs", "4"), out var jobs) || jobs < 1) throw new ArgumentException("--jobs needs a number above 0");
        return new(new(Node("--plain"), Node("--detailed"), Node("--impatient")), given.GetValueOrDefault("--only", ""), skip, jobs, list);
    }
}
