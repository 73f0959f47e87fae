# ensemble, leave one set out; targets from many models; nothing chosen: equal weights
import numpy as np, re, sys, pickle, os
from harness import *
from feats import *
from collections import Counter
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from lightgbm import LGBMRegressor
def load_full(s):
    R=[r for r in rows(s) if not r.get("contaminated")]
    t=TIERS[s]; R=[r for r in R if all(m in r["scores"] for m in t.values())]
    ms=sorted({m for r in R for m in r["scores"]})
    full=[m for m in ms if all(m in r["scores"] for r in R)]
    A=np.array([[r["scores"][m] for m in full] for r in R]); full=np.array(full); o=np.argsort(A.mean(0)); b=max(1,len(full)//3)
    many=A[:,o[-b:]].mean(1)-A[:,o[:b]].mean(1)
    small=A[:,o[:b]].mean(1)
    pair=np.array([r["scores"][t["deep"]]-r["scores"][t["fast"]] for r in R])
    return dict(P=[r["prompt"] for r in R],sub=[r["subset"] for r in R],src=[r.get("src") for r in R],many=many,small=small,pair=pair,L=np.array([len(r["prompt"]) for r in R],float))
if os.path.exists("full.pkl"): DD=pickle.load(open("full.pkl","rb"))
else:
    DD={s:load_full(s) for s in TIERS}
    for s in DD: DD[s]["S"]=np.array([surface(p) for p in DD[s]["P"]])
    pickle.dump(DD,open("full.pkl","wb"))
def keep(test,s,d):
    n=len(d["P"]); k=np.ones(n,bool)
    sub=np.array([x or "" for x in d["sub"]])
    if test in("routellm_mmlu",) and s=="mmlu_pro": k&=~np.array([bool(x) and "ori_mmlu" in x for x in d["src"]])
    if test=="mmlu_pro" and s=="routellm_mmlu": k&=False  # half of it was made of it
    if test in("routellm_mmlu","mmlu_pro") and s=="ulab_llmrouter": k&=sub!="mmlu"
    if test=="zeroeval_gsm" and s=="ulab_llmrouter": k&=(sub!="gsm8k")
    if test=="zeroeval_math_l5" and s=="ulab_llmrouter": k&=(sub!="math")
    if test=="ulab_llmrouter" and s=="zeroeval_gsm": k&=True
    return k
if __name__=="__main__":
    rng=np.random.default_rng(0)
    res={}
    for test in DD:
        Xs,T,S,Y,W=[],[],[],[],[]
        for s,d in DD.items():
            if s==test: continue
            k=np.flatnonzero(keep(test,s,d))
            if not len(k): continue
            if len(k)>2500: k=rng.choice(k,2500,replace=False)
            y=d["many"][k]; y=(y-y.mean())/y.std()
            T+= [edges(d["P"][i]) for i in k]; S.append(d["S"][k]); Y.append(y); W.append(np.full(len(k),1/np.sqrt(len(k))))
        S=np.concatenate(S);Y=np.concatenate(Y);W=np.concatenate(W);W/=W.mean()
        d=DD[test]; Te=[edges(p) for p in d["P"]]
        mu,sd=S.mean(0),S.std(0)+1e-9; f=lambda X:np.clip((X-mu)/sd,-3,3)
        pr={}
        pr["surf"]=Ridge(300).fit(f(S),Y,W).predict(f(d["S"]))
        pr["gbm"]=LGBMRegressor(n_estimators=150,learning_rate=.05,num_leaves=8,min_child_samples=60,verbose=-1,n_jobs=2).fit(f(S),Y,W).predict(f(d["S"]))
        v=TfidfVectorizer(analyzer=lambda t:toks(t),min_df=5,sublinear_tf=True); X=v.fit_transform(T); pr["tfidf"]=Ridge(10).fit(X,Y,W).predict(v.transform(Te))
        v=TfidfVectorizer(analyzer="char_wb",ngram_range=(2,4),min_df=10,max_features=60000,sublinear_tf=True); X=v.fit_transform([t[:1500] for t in T]); pr["char"]=Ridge(10).fit(X,Y,W).predict(v.transform([t[:1500] for t in Te]))
        pr["len"]=d["L"]
        R={n:mid_ranks(np.round(x,6)) for n,x in pr.items()}
        R["ens4"]=R["surf"]+R["gbm"]+R["tfidf"]+R["char"]
        R["ens5"]=R["ens4"]+R["len"]; R["half"]=R["ens4"]/4+R["len"]; R["quarter"]=R["ens4"]/4+2*R["len"]
        res[test]=R
        print(f"{test:18s}"," ".join(f"{n} {apgr(x,d['pair']):.3f}/{apgr(x,d['many']):.3f}" for n,x in R.items()),flush=True)
    pickle.dump(res,open("res.pkl","wb"))
    for n in next(iter(res.values())):
        print(n,"mean pair %.3f many %.3f"%(np.mean([apgr(res[t][n],DD[t]["pair"]) for t in res]),np.mean([apgr(res[t][n],DD[t]["many"]) for t in res])))
