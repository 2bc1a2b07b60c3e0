//! The plan of a school over HTTPS.

use contract::school::SchoolPlan;

use super::*;

#[tokio::test]
async fn a_board_is_told_the_plan_of_its_school_at_once_and_a_stranger_nothing() {
    let door = Door::open().await;
    let one = door.enrol("K7Q20191", "SN-1").await;
    let plan = |answer: Response| async {
        assert_eq!(answer.status(), Status::OK);
        let signed: Signed<SchoolPlan> = answer.json().await.unwrap();
        signed.verify(&door.http.keys.trusted()).unwrap()
    };
    let first = plan(one.get(&door, api::SCHOOL, &[]).await).await;
    assert_eq!(first.school, "s1");
    assert_eq!(first.members.len(), 1);
    assert_eq!(first.members[0].device_id, one.reply.device_id);
    let two = door.enrol("K7Q20192", "SN-2").await;
    let second = plan(two.get(&door, api::SCHOOL, &[]).await).await;
    assert_eq!(second.members.len(), 2);
    assert!(second.generation > first.generation);
    let again = plan(one.get(&door, api::SCHOOL, &[]).await).await;
    assert_eq!(again, second, "no new generation without a change");
    let stranger = door
        .client(None)
        .get(format!("{}{}", door.url, api::SCHOOL))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(stranger).await.1, "certificate_required");
}
