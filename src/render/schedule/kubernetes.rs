//! Kubernetes CronJobs.

use super::{Schedule, Verb, When};

/// What only Kubernetes needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The container image that holds dbops.
    pub image: String,
    /// Plan files by the name they get in the ConfigMap; the value is their path here.
    pub files: Vec<(String, String)>,
}

const PLANS: &str = "/etc/dbops/plans";

/// Returns one CronJob a verb, as YAML documents.
pub fn manifests(schedule: &Schedule, cluster: &Cluster) -> String {
    let files: Vec<String> = cluster
        .files
        .iter()
        .map(|(key, path)| format!("#     --from-file={key}={path} \\\n"))
        .collect();
    let head = format!(
        "# dbops: PostgreSQL partitions. Apply with `kubectl apply -f FILE`, in the namespace of your choice.\n\
         #\n\
         # The plan files come from a ConfigMap; make it anew whenever they change:\n\
         #   kubectl create configmap dbops-plans \\\n\
         {}\
         #     --dry-run=client -o yaml | kubectl apply -f -\n\
         # The connection comes from a Secret with the variables that the plan files name:\n\
         #   kubectl create secret generic dbops-env --from-env-file=dbops.env\n\
         # Creating and removing are jobs of their own: a prune that fails never stops a create.\n",
        files.concat()
    );
    let jobs: Vec<String> = schedule
        .times
        .each()
        .map(|(verb, when)| cron_job(schedule, cluster, verb, when))
        .collect();
    head + &jobs.concat()
}

fn cron_job(schedule: &Schedule, cluster: &Cluster, verb: Verb, when: &When) -> String {
    let inside = Schedule {
        plans: vec![PLANS.to_owned()],
        ..schedule.clone()
    };
    let command: Vec<String> = inside
        .words(verb)
        .iter()
        .map(|word| format!("                - {}\n", yaml(word)))
        .collect();
    format!(
        "---\n\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: dbops-partitions-{name}
  labels:
    app.kubernetes.io/name: dbops
    app.kubernetes.io/component: partitions-{name}
spec:
  schedule: {when}
  timeZone: Etc/UTC
  # Two runs never overlap in the database either: dbops holds an advisory lock there.
  concurrencyPolicy: Forbid
  # Up to an hour late is fine; without it 100 missed starts stop a CronJob for good.
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      # Exit 6 (deferred: no gap in the locks) is tried again with growing pauses.
      backoffLimit: 3
      activeDeadlineSeconds: 3600
      # Exit 2 (plan file, connection settings) and 4 (refused) are the same on a second try.
      podFailurePolicy:
        rules:
          - action: FailJob
            onExitCodes:
              containerName: dbops
              operator: In
              values: [2, 4]
      template:
        metadata:
          labels:
            app.kubernetes.io/name: dbops
            app.kubernetes.io/component: partitions-{name}
        spec:
          restartPolicy: Never
          # SIGTERM cancels the running statement and finishes the report.
          terminationGracePeriodSeconds: 60
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: dbops
              image: {image}
              command:
{command}              # Where the database takes no history, it goes here and is lost with the pod.
              env:
                - name: XDG_STATE_HOME
                  value: /tmp
              envFrom:
                - secretRef:
                    name: dbops-env
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              resources:
                requests:
                  cpu: 50m
                  memory: 32Mi
                limits:
                  memory: 128Mi
              volumeMounts:
                - name: plans
                  mountPath: {PLANS}
                  readOnly: true
                - name: tmp
                  mountPath: /tmp
          volumes:
            - name: plans
              configMap:
                name: dbops-plans
            - name: tmp
              emptyDir:
                sizeLimit: 16Mi
",
        name = verb.name(),
        when = yaml(&when.to_string()),
        image = yaml(&cluster.image),
        command = command.concat(),
    )
}

/// JSON strings are YAML strings.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::schedule;
    use super::*;
    use serde::Deserialize as _;

    #[test]
    fn each_verb_is_a_cron_job_that_kubernetes_can_read() {
        let cluster = Cluster {
            image: "registry.example/dbops:1".to_owned(),
            files: vec![("a.yaml".to_owned(), "plans/a.yaml".to_owned())],
        };
        let text = manifests(&schedule(), &cluster);
        let jobs: Vec<serde_json::Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|document| serde_json::Value::deserialize(document).unwrap())
            .filter(|document| !document.is_null())
            .collect();
        assert_eq!(jobs.len(), 2);
        for (job, verb, when) in [
            (&jobs[0], "ensure", "7 3 * * *"),
            (&jobs[1], "prune", "37 3 * * *"),
        ] {
            assert_eq!(job["kind"], "CronJob");
            assert_eq!(job["metadata"]["name"], format!("dbops-partitions-{verb}"));
            assert_eq!(job["spec"]["schedule"], when);
            assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid");
            let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
            assert_eq!(pod["restartPolicy"], "Never");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            let container = &pod["containers"][0];
            assert_eq!(
                container["command"],
                serde_json::json!([
                    "/usr/local/bin/dbops",
                    "partitions",
                    verb,
                    "--plan",
                    PLANS,
                    "--target",
                    "main"
                ])
            );
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(container["envFrom"][0]["secretRef"]["name"], "dbops-env");
            assert_eq!(container["volumeMounts"][0]["mountPath"], PLANS);
        }
    }
}
