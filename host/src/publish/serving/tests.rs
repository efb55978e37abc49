//! Whose turn it is to change versions.

use super::*;

fn name(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

#[tokio::test]
async fn one_at_a_time_of_each_agent_and_so_many_in_all() {
    let turns = Turns::new();
    let (first, other) = (turns.take(&name("demo")).await.unwrap(), turns.take(&name("other")).await.unwrap());
    let demo = name("demo");
    let next = turns.take(&demo);
    tokio::pin!(next);
    assert!(futures_poll(next.as_mut()).await.is_none(), "somebody changes it");
    drop(first);
    let second = next.await.unwrap();
    drop((second, other));
    assert!(turns.lock().is_empty(), "nobody holds any");

    let names: Vec<AgentName> = (0..WAITING_MAX).map(|number| name(&format!("a{number}"))).collect();
    let mut held = Vec::new();
    for name in &names {
        held.push(turns.take(name).await.unwrap());
    }
    let Err(Error::Crowded(limit)) = turns.take(&name("late")).await else { panic!("one more than may") };
    assert_eq!((limit.cap, limit.wanted), (WAITING_MAX as u64, 1));
    held.pop();
    turns.take(&name("late")).await.unwrap();
}

/// What a future has to say now, if anything.
async fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut future = Some(future);
    std::future::poll_fn(|context| match future.take().expect("it is polled once").poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
